// May do everything with the heating: its role has "talk".
import { existsSync } from 'node:fs';
import dbus from 'dbus-next';

const NAME = 'org.example.Heating';
const SOCKET = '/run/pv/services/house-bus.sock';

while (!existsSync(SOCKET)) await new Promise((resolve) => setTimeout(resolve, 20));
const bus = dbus.sessionBus({ busAddress: `unix:path=${SOCKET}` });
bus.on('error', (error) => {
  console.log(`the bus is gone: ${error.message}`);
  process.exit(1);
});

/** Whether the heating answered. */
async function call(member, signature = '', body = []) {
  const to = { destination: NAME, path: '/', interface: NAME };
  try {
    const answer = await bus.call(new dbus.Message({ ...to, member, signature, body }));
    console.log(`${member}: ${answer.body[0]}`);
    return true;
  } catch (error) {
    console.log(`${member}: ${error.type}: ${error.message}`);
    return false;
  }
}

let degrees = 20;

async function turnUp() {
  const next = degrees < 25 ? degrees + 0.5 : 18;
  await call('Temperature');
  if (await call('SetTarget', 'd', [next])) degrees = next; // the house may not be there yet
  setTimeout(turnUp, 2_000);
}

await turnUp();
