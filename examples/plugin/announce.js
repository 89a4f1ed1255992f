/**
 * A plugin from outside: `pv-xconnect --plugin examples/plugin/announce.js`.
 *
 * It takes the place of the built-in plugin for unix links. Where a requirement says `"interface": "announced"`,
 * the provider reads one line before the consumer's own bytes: who is calling, which the consumer can't forge.
 *
 *     client-app operator\n
 *
 * Every other unix link works as before. The bytes themselves never enter JavaScript: `join` hands both
 * connections to the native relay.
 */

/** @type {import('../../dist/plugins/plugin.js').Plugin} */
export default {
  types: ['unix'],

  async attach(link, host) {
    if (link.interface !== 'announced') {
      return host.forward({ type: link.mode ?? 'stream', fds: link.fds ?? true });
    }
    return host.listen(async (client) => {
      const provider = await host.connect();
      if (!provider.ok) {
        host.log.warn(provider.error.message);
        client.close();
        return;
      }
      provider.value.write(Buffer.from(`${link.consumer} ${link.role}\n`));
      host.join(client, provider.value, { type: 'stream' });
    });
  },
};
