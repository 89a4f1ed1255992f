/** Twenty rules, of which one lets the benchmark's calls pass, in the words of ours and of xdg-dbus-proxy. */
const NAMES = Array.from({ length: 19 }, (_, i) => `org.example.Service${i}`);
const BENCH = 'org.example.Bench';
const CALL = `${BENCH}.Ping@/org/example/Bench`;

export const POLICY = { talk: NAMES, call: { [BENCH]: [CALL] } };

export const PROXY_FLAGS = [
  '--filter',
  ...NAMES.map((name) => `--talk=${name}`),
  `--call=${BENCH}=${CALL}`,
];
