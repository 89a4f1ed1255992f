// May not call the thermostat: the bus refuses its calls. It receives the signals that the thermostat broadcasts.
import { existsSync } from 'node:fs';
import dbus from 'dbus-next';

const NAME = 'org.example.Thermostat';
const SOCKET = '/run/dbus/system_bus_socket';

while (!existsSync(SOCKET)) await new Promise((resolve) => setTimeout(resolve, 20));
const bus = dbus.systemBus();
bus.on('error', (error) => {
  console.log(`the bus is gone: ${error.message}`);
  process.exit(1);
});
bus.on('message', ({ interface: face, member, body }) => {
  if (face === NAME && member === 'TargetChanged') console.log(`hears of a target of ${body[0]}`);
});

const driver = {
  destination: 'org.freedesktop.DBus',
  path: '/',
  interface: 'org.freedesktop.DBus',
};
const match = `type='signal',interface='${NAME}'`;
await bus.call(new dbus.Message({ ...driver, member: 'AddMatch', signature: 's', body: [match] }));

async function tryToTurnUp() {
  const call = new dbus.Message({
    destination: NAME,
    path: '/',
    interface: NAME,
    member: 'SetTarget',
    signature: 'd',
    body: [99],
  });
  try {
    await bus.call(call);
    console.log('was let in: this should not be');
  } catch (error) {
    console.log(`is refused: ${error.type}`);
  }
  setTimeout(tryToTurnUp, 5_000);
}

await tryToTurnUp();
