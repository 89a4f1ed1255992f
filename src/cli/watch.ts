/**
 * `pv-xconnect graph --watch`: the graph again at every change. A terminal is redrawn; anything else gets one
 * graph after the other, an empty line between them.
 */
import type { ControlClient, Got } from './control-client.js';
import type { Output } from './output.js';

/** Moves the cursor home, and clears the screen, but not what was scrolled out of it. */
const CLEAR = '\x1b[H\x1b[2J';

type Wire = readonly unknown[];

/** Resolves on SIGINT or when nobody reads any more; with an error where the daemon can't be reached or ended. */
export async function watchGraph(
  client: ControlClient,
  look: () => Promise<Got<Wire>>,
  render: (wire: Wire) => string,
  stdout: Output,
): Promise<Got<null>> {
  let end!: (result: Got<null>) => void;
  const ended = new Promise<Got<null>>((resolve) => {
    end = resolve;
  });
  const done = () => end({ ok: true, value: null });
  process.once('SIGINT', done);
  stdout.on('error', done);

  let drawing = false;
  let again = false;
  let first = true;
  let over = false;
  const draw = async () => {
    again = true;
    if (drawing) return; // changes that come meanwhile become one more drawing
    drawing = true;
    while (again && !over) {
      again = false;
      const got = await look();
      if (over) break;
      if (!got.ok) {
        end(got);
        break;
      }
      const between = stdout.isTTY ? CLEAR : first ? '' : '\n';
      first = false;
      stdout.write(between + render(got.value));
    }
    drawing = false;
  };

  const following = await client.follow(
    () => void draw(),
    () => end({ ok: false, error: 'The daemon has ended.' }),
  );
  if (following.ok) void draw();
  else end(following);
  const result = await ended;
  over = true;
  process.off('SIGINT', done);
  if (following.ok) following.value();
  return result;
}
