/**
 * A plugin from outside: `pv-xconnect --plugin examples/plugin/announce.js`.
 *
 * It serves the unix links whose requirement says `"interface": "announced"`; every other one stays with the built-in
 * plugin. Its provider reads one line before the consumer's own bytes: who is calling, which the consumer can't forge.
 *
 *     client-app operator\n
 *
 * A provider whose `services.json` has `"announce": "role"` reads the role alone. The bytes themselves never enter
 * JavaScript: `join` hands both connections to the native relay.
 */

/** @type {import('pv-xconnect/plugin').Plugin} */
export default {
  types: ['unix'],
  interfaces: ['announced'],
  options: {
    service: { announce: { enum: ['role', 'both'], description: '"role" or "both"' } },
  },

  async attach(link, host) {
    const name = link.extra?.announce === 'role' ? '' : `${link.consumer} `;
    return host.listen(async (client) => {
      const provider = await host.connect();
      if (!provider.ok) {
        host.log.warn(provider.error.message);
        client.close();
        return;
      }
      provider.value.write(Buffer.from(`${name}${link.role}\n`));
      host.join(client, provider.value, {});
    });
  },
};
