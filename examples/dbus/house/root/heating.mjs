// org.example.Heating on the bus of this container. It does not check its callers: the policy of the link does that.
import { existsSync } from 'node:fs';
import dbus from 'dbus-next';

const NAME = 'org.example.Heating';
const SOCKET = '/run/house/bus.sock';

class Heating extends dbus.interface.Interface {
  target = 20;

  Temperature() {
    return 19.5;
  }

  SetTarget(degrees) {
    this.target = degrees;
    this.TargetChanged(degrees);
    return degrees;
  }

  TargetChanged(degrees) {
    return degrees;
  }
}

Heating.configureMembers({
  methods: {
    Temperature: { inSignature: '', outSignature: 'd' },
    SetTarget: { inSignature: 'd', outSignature: 'd' },
  },
  signals: { TargetChanged: { signature: 'd' } },
});

while (!existsSync(SOCKET)) await new Promise((resolve) => setTimeout(resolve, 20));
const bus = dbus.sessionBus({ busAddress: `unix:path=${SOCKET}` });
bus.on('error', (error) => {
  console.log(`the bus is gone: ${error.message}`);
  process.exit(1);
});
bus.export('/', new Heating(NAME));
await bus.requestName(NAME, 0);
console.log(`owns ${NAME}`);
