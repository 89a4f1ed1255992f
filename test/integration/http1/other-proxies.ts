/** nginx and HAProxy as Debian configures nothing of them: one unix socket before another. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endBy } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';

/** Nothing more comes after so long, on a machine that has nothing else to do. */
const QUIET_MS = 250;
const MOST_MS = 1_000;

const NGINX = (folder: string) => `
daemon off; master_process off; pid ${folder}/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server {
    listen unix:${folder}/nginx;
    location / { proxy_pass http://unix:${folder}/provider; proxy_http_version 1.1; }
  }
}`;

const HAPROXY = (folder: string) => `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind unix@${folder}/haproxy
  default_backend b
backend b
  server s unix@${folder}/provider
`;

export class OtherProxies {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-others-'));
  readonly #processes: ChildProcess[] = [];
  readonly #server: net.Server;

  constructor(accept: (socket: net.Socket) => void) {
    this.#server = net.createServer({ allowHalfOpen: true }, accept);
  }

  async start(): Promise<void> {
    const folder = this.#folder;
    await new Promise<void>((resolve) => this.#server.listen(join(folder, 'provider'), resolve));
    writeFileSync(join(folder, 'nginx.conf'), NGINX(folder));
    writeFileSync(join(folder, 'haproxy.cfg'), HAPROXY(folder));
    const options = { stdio: 'ignore' } as const;
    this.#processes.push(
      spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], options),
      spawn('haproxy', ['-q', '-db', '-f', join(folder, 'haproxy.cfg')], options),
    );
    await eventually(() => {
      for (const name of ['nginx', 'haproxy']) {
        if (!existsSync(join(folder, name))) throw new Error(`${name} does not listen`);
      }
    });
  }

  /** What comes back for `bytes` until it is quiet. `patience`: how many times as long as usual that takes. */
  async ask(name: 'nginx' | 'haproxy', bytes: string, patience: number): Promise<string> {
    const socket = net.connect(join(this.#folder, name));
    let answer = '';
    socket.setEncoding('latin1').on('error', () => undefined);
    socket.write(bytes, 'latin1');
    await new Promise<void>((resolve) => {
      let quiet: NodeJS.Timeout | undefined;
      const most = setTimeout(resolve, patience * MOST_MS);
      socket.on('data', (text: string) => {
        answer += text;
        clearTimeout(quiet);
        quiet = setTimeout(resolve, patience * QUIET_MS);
      });
      socket.once('close', () => {
        clearTimeout(most);
        resolve();
      });
    });
    socket.destroy();
    return answer;
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) await endBy(child);
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
