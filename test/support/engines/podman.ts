/** A Podman of the test's own. Its API service is where Docker's socket would be, and the docker command asks it. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { DockerEngine } from './docker.js';

/** What a root with an ordinary limit of open files may set; and nobody stays behind for each program in a container. */
const SETTINGS = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
exit_command_delay = 1
`;

export class PodmanEngine extends DockerEngine {
  /** Podman itself, for what Docker's interface lacks; its output. */
  podman(...args: string[]): string {
    const { argv, env } = this.#here();
    const [program = '', ...flags] = argv;
    return execFileSync(program, [...flags, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    }).trim();
  }

  protected override command() {
    const { argv, env } = this.#here();
    writeFileSync(env.CONTAINERS_CONF, SETTINGS);
    return { argv: [...argv, 'system', 'service', '--time=0', this.host], env };
  }

  /** Everything in the folder of the test, and no systemd. */
  #here() {
    const flags = {
      '--root': this.at('data'),
      '--runroot': this.at('exec'),
      '--tmpdir': this.at('tmp'),
      '--storage-driver': 'overlay',
      '--cgroup-manager': 'cgroupfs',
      '--events-backend': 'file',
    };
    const env = { CONTAINERS_CONF: this.at('containers.conf') };
    return { argv: ['podman', ...Object.entries(flags).flat()], env };
  }
}
