/** The page about a real mesh: what it shows, by mouse and by keyboard, who gets to see it, and what its processes may do. */
import { chmodSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { countOf, rowsOf, soon, Web } from './browser.js';
import { type Holder, LivelyMesh, WHERE } from './lively.js';

const LINKS = Object.keys(WHERE).length;

/** A line of /proc/PID/status. */
function statusOf(pid: number, name: string): string {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? '';
}

/** Whether something is drawn on the layer of what moves: an expression of the page. */
const IS_MOVING = `(() => {
  const [, flows] = document.querySelectorAll('canvas');
  const { data } = flows.getContext('2d').getImageData(0, 0, flows.width, flows.height);
  return data.some((value) => value !== 0);
})()`;
/** Tries to run scripts that are not the page's, and says whether one did. */
const INTRUDE = `(() => {
  const script = document.createElement('script');
  for (const attempt of [
    () => { script.text = 'window.ran = true'; },
    () => { script.append('window.ran = true'); document.head.append(script); },
    () => { document.body.innerHTML += '<img src=x onerror="window.ran = true">'; },
    () => { document.body.setAttribute('onclick', 'window.ran = true'); document.body.click(); },
  ]) try { attempt(); } catch {}
  // Nothing tells that a script was not run: one that is run, is by then.
  return new Promise((resolve) => setTimeout(() => resolve('ran' in window), 100));
})()`;

describe.runIf(isRoot() && has('dbus-daemon') && has('chromium'))('the page', () => {
  const mesh = new LivelyMesh();
  let web: Web;
  let page: Page;
  let holder: Holder;

  beforeAll(async () => {
    await mesh.begin();
    ({ holder } = await mesh.hold('raw'));
    chmodSync(dirname(mesh.daemon.control), 0o755); // as /run is
    web = await Web.start(mesh.daemon.control);
    page = await web.open();
    await rowsOf(page)
      .nth(LINKS - 1)
      .waitFor();
  }, 60_000);
  afterAll(async () => {
    expect(await web.stop()).toBe(0);
    await mesh.stop();
  });

  test('shows each link, and what each is', async () => {
    await page.locator('.stage[data-summary="2 containers, 7 links"]').waitFor();
    expect(await countOf(page)).toBe(LINKS);
    const row = rowsOf(page).filter({ hasText: 'raw' });
    await soon(() => row.textContent()).toMatch(/^client → server ?raw unix ?established ?1 open/);
    expect(await page.locator('.chip.established').textContent()).toBe('7 established');
    expect(await page.locator('.health').textContent()).toBe('Live');
  });

  test('has data move along the link that carries some, and not for who wants less motion', async () => {
    const carry = async () => {
      await holder.again();
      expect(await page.locator('.stage').getAttribute('data-flows')).not.toBe('0');
      expect(await page.evaluate(IS_MOVING)).toBe(true);
    };
    await eventually(carry);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    const rest = async () => {
      await holder.again();
      expect(await page.locator('.stage').getAttribute('data-flows')).not.toBe('0');
      expect(await page.evaluate(IS_MOVING)).toBe(false);
    };
    await eventually(rest);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
  });

  test('explains a link on a click, with its connections', async () => {
    await rowsOf(page).filter({ hasText: 'raw' }).click();
    const details = page.getByRole('complementary', { name: 'Link of client to raw' });
    await details.locator('.steps li').nth(7).waitFor();
    expect(await details.locator('.steps .step').allTextContents()).toEqual([
      ...['declared', 'exported by', 'allowed', 'running', 'target', 'socket', 'identity'],
      'connections',
    ]);
    expect(await details.locator('.steps li').first().textContent()).toContain('client/run.json:');
    await soon(() => details.locator('.connections li').first().textContent()).toMatch(
      /^\d+ python3 \/run\/ends\.py hold stream .*uid 0, for \d+ s, .* sent/,
    );
    await web.picture(page, 'details');
    await details.getByRole('button', { name: 'Close' }).click();
    expect(await details.count()).toBe(0);
  });

  test('shows nothing of one link beside the name of the next one', async () => {
    const details = (name: string) =>
      page.getByRole('complementary', { name: `Link of client to ${name}` });
    await rowsOf(page).filter({ hasText: 'raw' }).click();
    await details('raw').locator('.steps li').nth(7).waitFor();
    await page.route('**/link?*', () => undefined); // the answer about the next one never comes
    await rowsOf(page).filter({ hasText: 'notes' }).dispatchEvent('click'); // the panel may cover it
    await details('notes').waitFor();
    expect(await details('notes').locator('.steps li').count()).toBe(0);
    expect(await details('notes').textContent()).toContain('Asking…');
    await page.unroute('**/link?*');
    await page.keyboard.press('Escape');
  });

  test('shows those of a container that is clicked in the picture', async () => {
    const { width = 0, height = 0 } = (await page.locator('.stage').boundingBox()) ?? {};
    // Left and right of the middle are the client and the server.
    for (const x of [0.14, 0.18, 0.22, 0.26, 0.3]) {
      if ((await page.locator('.pill').count()) > 0) break;
      await page.locator('.stage').click({ position: { x: width * x, y: height / 2 - 20 } });
    }
    expect(await page.locator('.pill').textContent()).toMatch(/^of client/);
    await page.keyboard.press('Escape');
    expect(await page.locator('.pill').count()).toBe(0);
  });

  test('is used by keyboard alone', async () => {
    const other = await web.open();
    await rowsOf(other)
      .nth(LINKS - 1)
      .waitFor();
    await other.keyboard.press('Tab');
    expect(await other.evaluate('document.activeElement.className')).toBe('skip');
    await other.keyboard.press('/');
    await other.keyboard.type('dbus ruled');
    await soon(() => countOf(other)).toBe(1);
    await other.keyboard.press('Escape');
    await soon(() => countOf(other)).toBe(LINKS);

    const focused = () => other.evaluate(`document.activeElement.getAttribute('aria-label')`);
    await eventually(async () => {
      await other.keyboard.press('Tab');
      expect(await focused()).toMatch(/^Containers and their links/);
    });
    await other.keyboard.press('ArrowRight');
    await other.keyboard.press('ArrowRight');
    const said = other.locator('[aria-live]');
    await soon(() => said.textContent()).toBe('server, serves 7, established');
    await other.keyboard.press('ArrowLeft');
    await soon(() => said.textContent()).toBe('client, uses 7, established');
    await other.keyboard.press('Enter');
    await other.locator('.pill').waitFor();
    await other.keyboard.press('Escape');

    await eventually(async () => {
      await other.keyboard.press('Tab');
      expect(await focused()).toBe('Links');
    });
    await other.keyboard.press('End');
    const row = await other.locator('table').getAttribute('aria-activedescendant');
    expect(await other.locator(`#${row}`).getAttribute('aria-rowindex')).toBe(String(LINKS + 1));
    await other.keyboard.press('Enter');
    await other.locator('.details .steps li').first().waitFor();
    expect(await focused()).toMatch(/^Link of client to /);
    await other.keyboard.press('Escape');
    expect(await focused()).toBe('Links');
    await other.close();
  });

  test('fits a phone, dark and light', async () => {
    for (const colorScheme of ['dark', 'light'] as const) {
      const phone = await web.open({ viewport: { width: 360, height: 740 }, colorScheme });
      await rowsOf(phone).first().click();
      await phone.locator('.details .steps li').first().waitFor();
      await web.picture(phone, `phone-${colorScheme}`);
      expect(await phone.evaluate('document.documentElement.scrollWidth')).toBe(360);
      await phone.close();
    }
  });

  test('says that the daemon is gone, and goes on by itself when it is back', async () => {
    await mesh.daemon.kill('SIGTERM');
    const notice = page.getByRole('alert');
    await soon(() => notice.textContent()).toMatch(/^The daemon does not answer\./);
    expect(await page.locator('.health').textContent()).toBe('No daemon');
    expect(await countOf(page)).toBe(LINKS);
    await mesh.daemon.launch();
    await notice.waitFor({ state: 'detached' });
    await soon(() => page.locator('.chip.established').textContent()).toBe('7 established');
  }, 60_000);

  test('is for who has the token, and keeps it where no script and no other site gets at it', async () => {
    for (const path of [
      '/',
      '/feed',
      '/link?consumer=client',
      '/page.js',
      '/nothing',
      '/?token=',
    ]) {
      expect([path, (await web.ask(path)).status]).toEqual([path, 401]);
    }
    const token = new URL(web.url).searchParams.get('token') ?? '';
    const wrong = `/?token=${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    expect((await web.ask(wrong)).status).toBe(401);
    const { status, headers } = await web.ask(`/?token=${token}`);
    expect([status, headers['set-cookie']?.[0]]).toEqual([
      200,
      expect.stringMatching(/^pv-xconnect-web-\d+=[\w-]{32}; HttpOnly; SameSite=Strict; Path=\/$/),
    ]);
    const Cookie = await web.cookie();
    expect((await web.ask('/feed', { Cookie })).status).toBe(200);
    expect((await web.ask('/feed', { Cookie, Host: 'evil.example' })).status).toBe(421);
    expect((await web.ask('/', { Cookie }, 'POST')).status).toBe(405);
    expect((await web.ask('/upgrade', { Cookie })).status).toBe(404);
    expect(page.url()).toBe(`${web.origin}/`);
    expect(await page.evaluate('document.cookie')).toBe('');
  });

  test('runs no script but its own', async () => {
    const intruded = await web.open();
    expect(await intruded.evaluate(INTRUDE)).toBe(false);
    await intruded.close();
    const refused = web.complaints.splice(0);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.filter((one) => !/Content Security Policy|Trusted/.test(one))).toEqual([]);
  });

  test('is served by processes that have given up what they do not need', async () => {
    const uids = [web.openerPid, web.serverPid].map((pid) => statusOf(pid, 'Uid').split('\t')[0]);
    expect(new Set(uids).size).toBe(2);
    for (const pid of [web.openerPid, web.serverPid]) {
      expect(Number(statusOf(pid, 'Uid').split('\t')[0])).toBeGreaterThanOrEqual(0x7f010000);
      for (const set of ['CapInh', 'CapPrm', 'CapEff']) {
        expect([set, statusOf(pid, set)]).toEqual([set, '0'.repeat(16)]);
      }
      expect(statusOf(pid, 'NoNewPrivs')).toBe('1');
    }
    // No group by which the control socket could be reached.
    const server = statusOf(web.serverPid, 'Uid').split('\t')[0];
    expect(statusOf(web.serverPid, 'Gid').split('\t')[0]).toBe(server);
    expect(statusOf(web.serverPid, 'Groups').trim()).toBe('');
  });

  test('has complained of nothing', () => {
    expect(web.complaints).toEqual([]);
  });
});
