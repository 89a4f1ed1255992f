import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { Device } from './town.js';

/** Where a picture of the page is kept, for somebody to look at. */
const PICTURE = process.env.PVX_PICTURE;
const tools = ['ip', 'unshare', 'chromium'].every((tool) => has(tool));

describe.runIf(isRoot() && tools)('the page of examples/ingress', () => {
  const device = new Device();
  let browser: Browser;
  beforeAll(async () => {
    await device.boot(61, 'ingress');
    await device.connected();
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await device.remove();
  });

  test('opens, and shows what the two other containers said', async () => {
    const page = await browser.newPage({ viewport: { width: 900, height: 640 } });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`));
    page.on('websocket', (socket) =>
      socket.on('socketerror', (error) => complaints.push(`the WebSocket: ${error}`)),
    );
    const answer = await page.goto(`http://${device.address}:8080/`);
    expect(answer?.status()).toBe(200);
    expect(await page.title()).toBe('Four containers, two ports');
    await page.locator('#api', { hasText: 'api says' }).waitFor();
    await page.locator('#echo', { hasText: 'is anybody there?' }).waitFor();
    expect(await page.textContent('#api')).toBe(`api says hello to ${device.client}`);
    expect(await page.textContent('#echo')).toBe('is anybody there?');
    await page.fill('#say', 'a word from a browser');
    await page.press('#say', 'Enter');
    await page.locator('#echo', { hasText: 'a word from a browser' }).waitFor();
    if (PICTURE) await page.screenshot({ path: PICTURE });
    expect(complaints).toEqual([]);
  }, 60_000);
});
