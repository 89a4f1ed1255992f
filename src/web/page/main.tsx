/** The entry of the page. */
import './page.css';
import { render } from 'preact';
import { App } from './app.js';
import { openFeed } from './feed.js';
import { Model } from './model.js';

// The token has become a cookie by now: it need not stay where it can be read over a shoulder, or be kept.
history.replaceState(null, '', location.pathname);

// A page in the background has no frames, and is told all the same, so that it shows what is when it comes back.
const model = new Model((tell) => {
  if (document.hidden) setTimeout(tell, 1_000);
  else requestAnimationFrame(tell);
});
const root = document.getElementById('app');
if (root) render(<App model={model} />, root);
openFeed(model);
