/**
 * pv-appengine in a network of its own, which stands for the device, with a veth pair to this one: the network that
 * its clients are in.
 */
import { execFile } from 'node:child_process';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { plugIn } from '../../support/veth.js';

const OWN_NETWORK = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];

export class Device extends AppEngineProcess {
  /** Its address, as its clients know it. */
  address = '';
  /** Ours, as it knows us. */
  client = '';

  /** `net`: which 10.213.N.0/24 the cable has. `example`: by name; without one, what `write` wrote. */
  async boot(net: number, example?: string): Promise<void> {
    if (example === undefined) await this.start([], OWN_NETWORK);
    else await this.startExample(example, OWN_NETWORK);
    const cable = plugIn({ pid: this.process.pid as number }, net);
    this.address = cable.container;
    this.client = cable.host;
  }
}

/** A program in the clients' network, to its end; its standard output. Rejects where it fails. */
export function run(argv: readonly string[], input = ''): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${argv.join(' ')}: ${stderr}`, { cause: error }));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
