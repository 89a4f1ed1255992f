// Owns org.example.Thermostat on the system bus. It is started when somebody calls that name for the first time.
import { existsSync } from 'node:fs';
import dbus from 'dbus-next';

const NAME = 'org.example.Thermostat';
const SOCKET = '/run/dbus/system_bus_socket';

class Thermostat extends dbus.interface.Interface {
  target = 20;

  SetTarget(degrees) {
    this.target = degrees;
    console.log(`the target is ${degrees} now`);
    this.TargetChanged(degrees);
    return degrees;
  }

  TargetChanged(degrees) {
    return degrees;
  }
}

Thermostat.configureMembers({
  properties: { target: { signature: 'd', access: 'read' } },
  methods: { SetTarget: { inSignature: 'd', outSignature: 'd' } },
  signals: { TargetChanged: { signature: 'd' } },
});

while (!existsSync(SOCKET)) await new Promise((resolve) => setTimeout(resolve, 20));
const bus = dbus.systemBus();
bus.on('error', (error) => {
  console.log(`the bus is gone: ${error.message}`);
  process.exit(1);
});
bus.export('/', new Thermostat(NAME));
await bus.requestName(NAME);
console.log(`owns ${NAME}`);
