/**
 * The page about 1,000 links of 300 containers, all of which change: no more of them are elements than can be seen, and
 * what is kept is bounded. The mesh is made up, its control socket is the daemon's.
 *
 * With PVX_FRAMES=1 the times of frames are printed.
 */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_OCCURRENCES } from '../../../src/web/wire.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { countOf, rowsOf, soon, Web } from './browser.js';
import { MadeUpMesh } from './made-up-mesh.js';

const LINKS = 1_000;
const CONTAINERS = 300;
/** More than a screen of this height can have, with some beyond its edges. */
const MOST_ROWS = 40;

/** For 5 s: how long each frame took, in milliseconds. An expression of the page. */
const FRAMES = `new Promise((resolve) => {
  const times = [];
  const begin = performance.now();
  let last = begin;
  const tick = (now) => {
    times.push(now - last);
    last = now;
    if (now - begin < 5_000) requestAnimationFrame(tick);
    else resolve(times.sort((one, other) => one - other));
  };
  requestAnimationFrame(tick);
})`;

describe.runIf(has('chromium'))('the page about many links', () => {
  const mesh = new MadeUpMesh(LINKS, CONTAINERS);
  let web: Web;
  let page: Page;

  beforeAll(async () => {
    await mesh.listen();
    web = await Web.start(mesh.path);
    page = await web.open();
    await page.locator(`.stage[data-summary="${CONTAINERS} containers, 1,000 links"]`).waitFor();
  }, 60_000);
  afterAll(async () => {
    await web.stop();
    await mesh.close();
  });

  test('has the rows that can be seen as elements, wherever it is scrolled to', async () => {
    expect(await countOf(page)).toBe(LINKS);
    expect(await rowsOf(page).count()).toBeLessThan(MOST_ROWS);
    await page.locator('table').focus();
    await page.keyboard.press('End');
    const last = page.locator(`tr[aria-rowindex="${LINKS + 1}"]`);
    await last.waitFor();
    expect(await rowsOf(page).count()).toBeLessThan(MOST_ROWS);
    await page.keyboard.press('Home');
    await page.locator('tr[aria-rowindex="2"]').waitFor();
  });

  test('finds the one that is looked for', async () => {
    await page.locator('input').fill('service-777 container');
    await soon(() => countOf(page)).toBe(1);
    expect(await rowsOf(page).first().textContent()).toContain('service-777');
    await page.locator('input').fill('');
  });

  test('shows what flows along all of them', async () => {
    const flow = async () => {
      mesh.carry();
      expect(await page.locator('.stage').getAttribute('data-flows')).toBe(String(LINKS));
    };
    await eventually(flow, { intervalMs: 300, timeoutMs: 20_000 });
    await web.picture(page, 'many');
    if (process.env.PVX_FRAMES !== '1') return;
    const timer = setInterval(() => {
      mesh.carry();
      mesh.change(40);
    }, 100);
    const times = (await page.evaluate(FRAMES)) as number[];
    clearInterval(timer);
    const at = (part: number) => times[Math.floor((times.length - 1) * part)]?.toFixed(1);
    process.stdout.write(
      `frames: ${times.length} in 5 s, median ${at(0.5)}, 95% ${at(0.95)}, longest ${at(1)} ms\n`,
    );
  });

  test('keeps no more of a flood of events than it shows', async () => {
    for (let round = 0; round < 20; round++) {
      mesh.change(LINKS);
      // The daemon drops a listener that leaves 4 MiB unread: who reads them has its turn here.
      await countOf(page);
    }
    await page.getByRole('tab', { name: /^Events/ }).click();
    const events = page.locator('.events li');
    await eventually(async () => {
      mesh.change(LINKS);
      expect(await events.count()).toBe(MAX_OCCURRENCES);
    });
    const newest = mesh.fail(0, 'A word of the newest.');
    await events.filter({ hasText: newest }).waitFor();
    expect(await events.count()).toBe(MAX_OCCURRENCES);
    await page.getByRole('tab', { name: /^Links/ }).click();
    expect(await countOf(page)).toBe(LINKS);
  });

  test('is shown to so many browsers, and says so to the next one', async () => {
    const Cookie = await web.cookie();
    const others = await Promise.all(
      Array.from({ length: 15 }, () => web.hold('/feed', { Cookie })),
    );
    expect((await web.ask('/feed', { Cookie })).status).toBe(503);
    // Those that read nothing of it hold up nobody.
    const newest = mesh.fail(1, 'Another word.');
    await page.getByRole('tab', { name: /^Events/ }).click();
    await page.locator('.events li').filter({ hasText: newest }).waitFor();
    for (const leave of others) leave();
    await eventually(async () => expect((await web.ask('/feed', { Cookie })).status).toBe(200));
  });

  test('shows hostile names as text', async () => {
    const name = '<img src=x onerror=alert(1)>\u202e"\'`';
    mesh.add({ consumer: name, provider: '<script>alert(2)</script>', name: '</td><b>bold' });
    await page.getByRole('tab', { name: /^Links/ }).click();
    await page.locator('input').fill('onerror');
    await soon(() => countOf(page)).toBe(1);
    const row = rowsOf(page).first();
    expect(await row.locator('.ends').textContent()).toBe(
      '<img src=x onerror=alert(… → <script>alert(2)</script>',
    );
    expect(await row.locator('.what').textContent()).toContain('</td><b>bold');
    await row.click();
    await page.locator('.details .steps li').first().waitFor();
    expect(await page.locator('.details h2').textContent()).toBe('</td><b>bold');
    expect(await page.locator('b', { hasText: 'bold' }).count()).toBe(0);
    expect(web.complaints).toEqual([]);
  });
});
