// May call the thermostat: its role is in the "allow" of the name. The first call starts the thermostat's container.
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

let degrees = 20;

async function turnUp() {
  const next = degrees < 25 ? degrees + 0.5 : 18;
  const call = new dbus.Message({
    destination: NAME,
    path: '/',
    interface: NAME,
    member: 'SetTarget',
    signature: 'd',
    body: [next],
  });
  try {
    const { body } = await bus.call(call);
    console.log(`the thermostat is set to ${body[0]}`);
    degrees = next;
  } catch (error) {
    console.log(`${error.type}: ${error.message}`);
  }
  setTimeout(turnUp, 2_000);
}

await turnUp();
