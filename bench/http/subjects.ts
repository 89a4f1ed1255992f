/** What is compared over HTTP: proxies that listen on a unix socket and on a port, for one provider on a unix socket. */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { find } from '../competitors.js';
import { execArgv } from '../load.js';
import { Task } from '../task.js';

/** Where a client connects to. */
export type Front = { readonly socket: string } | { readonly port: number };

export interface HttpStand {
  /** As `rest` is consumed, and as `http` is. Null: it can't be. */
  readonly rest: Front | null;
  readonly http: Front | null;
  stop(): Promise<void>;
}

export interface HttpSubject {
  readonly key: string;
  readonly title: string;
  missing(): string | undefined;
  /** `folder` is empty and its own; `provider`: the socket of the far end, which listens already. */
  stand(folder: string, provider: string): Promise<HttpStand>;
}

const PORTS = { nginx: 18_081, haproxy: 18_082, caddy: 18_083, proxy3: 18_084 };

function proxy(
  key: string,
  title: string,
  port: number,
  prepare: (folder: string, provider: string) => readonly string[],
): HttpSubject {
  return {
    key,
    title,
    missing: () => (find(key) || key === 'node' ? undefined : 'not installed'),
    stand: async (folder, provider) => {
      const env = { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, HOME: folder };
      const argv = execArgv(prepare(folder, provider));
      const task = new Task(argv, { cwd: folder, log: join(folder, 'log'), env });
      return {
        rest: { socket: join(folder, 'f') },
        http: { port },
        stop: () => task.stop(),
      };
    },
  };
}

const nginx = proxy('nginx', 'nginx, 1 worker', PORTS.nginx, (folder, provider) => {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const conf = `daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/log crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_max_body_size 0; ${temporary.join(' ')}
  upstream back { server unix:${provider}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen unix:${folder}/f; listen 127.0.0.1:${PORTS.nginx};
    location / {
      proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_max_temp_file_size 0;
      proxy_set_header X-PV-Client consumer; proxy_set_header X-PV-Role any;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Host $host;
    }
  }
}`;
  writeFileSync(join(folder, 'nginx.conf'), conf);
  return ['nginx', '-c', join(folder, 'nginx.conf')];
});

const haproxy = proxy('haproxy', 'HAProxy, one thread', PORTS.haproxy, (folder, provider) => {
  const conf = `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse safe
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen l
  bind unix@${folder}/f
  bind 127.0.0.1:${PORTS.haproxy}
  http-request set-header X-PV-Client consumer
  http-request set-header X-PV-Role any
  server s unix@${provider}
`;
  writeFileSync(join(folder, 'haproxy.cfg'), conf);
  return ['haproxy', '-db', '-q', '-f', 'haproxy.cfg'];
});

const caddy = proxy('caddy', 'Caddy', PORTS.caddy, (folder, provider) => {
  const site = (address: string, bind: string) => `${address} {
  bind ${bind}
  reverse_proxy unix/${provider} {
    header_up X-PV-Client consumer
    header_up X-PV-Role any
    transport http {
      keepalive_idle_conns_per_host 512
    }
  }
}
`;
  const sites = [
    site(`http://:${PORTS.caddy}`, '127.0.0.1'),
    site('http://localhost', `unix/${folder}/f`),
  ];
  writeFileSync(
    join(folder, 'Caddyfile'),
    `{\n  admin off\n  auto_https off\n}\n${sites.join('')}`,
  );
  return ['caddy', 'run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'];
});

const require = createRequire(import.meta.url);

const proxy3 = proxy('node', 'http-proxy-3', PORTS.proxy3, (folder, provider) => {
  const code = `
const http = require('node:http');
const { createProxyServer } = require(${JSON.stringify(require.resolve('http-proxy-3'))});
const agent = new http.Agent({ keepAlive: true, maxSockets: 512 });
const target = { socketPath: ${JSON.stringify(provider)} };
const headers = { 'X-PV-Client': 'consumer', 'X-PV-Role': 'any' };
const proxy = createProxyServer({ target, agent, headers, xfwd: true });
proxy.on('error', (error, asked, answer) => answer.destroy());
for (const where of [${JSON.stringify(join(folder, 'f'))}, ${PORTS.proxy3}])
  http.createServer((asked, answer) => proxy.web(asked, answer)).listen(where, typeof where === 'number' ? '127.0.0.1' : undefined);
`;
  writeFileSync(join(folder, 'proxy.cjs'), code);
  return [process.execPath, join(folder, 'proxy.cjs')];
});

export const none: HttpSubject = {
  key: 'none',
  title: 'no proxy',
  missing: () => undefined,
  stand: async (_folder, provider) => ({
    rest: { socket: provider },
    http: null,
    stop: async () => {},
  }),
};

export const competitors: readonly HttpSubject[] = [nginx, haproxy, caddy, proxy3];
