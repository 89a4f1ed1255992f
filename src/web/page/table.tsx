/**
 * The table of links. Only the rows that can be seen are elements, so a thousand cost what twenty do. One stop of the tab
 * key: arrows, Page Up and Down, Home and End move within, Enter opens.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { printable } from '../../manifest/text.js';
import { rate, seen } from './format.js';
import { Icon } from './icons.js';
import { type Link, stateOf } from './model.js';
import { labelOf } from './scene.js';

const ROW_HEIGHT = 56;
/** Rows beyond the edge, so that none is missing while it scrolls. */
const BEYOND = 6;

interface Props {
  readonly links: readonly Link[];
  /** There are others that the filter leaves out. */
  readonly filtered: boolean;
  readonly chosen: number | null;
  readonly onChoose: (key: number) => void;
}

export function LinkTable({ links, filtered, chosen, onChoose }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const [cursor, setCursor] = useState<number | null>(null);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const look = () => setSeen({ top: element.scrollTop, height: element.clientHeight });
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);

  const at = links.findIndex(({ key }) => key === cursor);
  const first = Math.max(0, Math.floor(seen.top / ROW_HEIGHT) - BEYOND);
  const last = Math.min(links.length, Math.ceil((seen.top + seen.height) / ROW_HEIGHT) + BEYOND);
  const page = Math.max(1, Math.floor(seen.height / ROW_HEIGHT) - 1);

  const moveTo = (index: number) => {
    const link = links[Math.max(0, Math.min(links.length - 1, index))];
    const element = scroller.current;
    if (!link || !element) return;
    setCursor(link.key);
    const top = links.indexOf(link) * ROW_HEIGHT;
    const head = element.querySelector('thead')?.clientHeight ?? 0;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT + head > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + ROW_HEIGHT + head - element.clientHeight;
    }
  };

  const onKey = (event: KeyboardEvent) => {
    const moves: Readonly<Record<string, number>> = {
      ...{ ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1 },
      ...{ PageDown: at + page, PageUp: at - page, Home: 0, End: links.length - 1 },
    };
    const index = moves[event.key];
    if (index !== undefined) moveTo(index);
    else if (event.key === 'Enter' && cursor !== null && at >= 0) onChoose(cursor);
    else return;
    event.preventDefault();
  };

  return (
    <div class="rows" ref={scroller}>
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the grid of ARIA, with its own keys
        role="grid"
        tabIndex={0}
        aria-label="Links"
        aria-rowcount={links.length + 1}
        aria-activedescendant={at >= first && at < last ? `link-${cursor}` : undefined}
        onKeyDown={onKey}
        onFocus={() => at < 0 && moveTo(Math.floor(seen.top / ROW_HEIGHT))}
      >
        <thead>
          <tr aria-rowindex={1}>
            <th>Link</th>
            <th>State and traffic</th>
          </tr>
        </thead>
        <tbody>
          <Space rows={first} />
          {links.slice(first, last).map((link, index) => (
            <LinkRow
              key={link.key}
              link={link}
              index={first + index}
              here={link.key === cursor}
              chosen={link.key === chosen}
              onChoose={() => {
                setCursor(link.key);
                onChoose(link.key);
              }}
            />
          ))}
          <Space rows={links.length - last} />
        </tbody>
      </table>
      {links.length === 0 && (
        <p class="none">{filtered ? 'No link matches.' : 'There is no link.'}</p>
      )}
    </div>
  );
}

function Space({ rows }: { readonly rows: number }) {
  if (rows <= 0) return null;
  return (
    <tr class="space">
      <td colSpan={2} style={{ height: `${rows * ROW_HEIGHT}px` }} />
    </tr>
  );
}

interface RowProps {
  readonly link: Link;
  readonly index: number;
  readonly here: boolean;
  readonly chosen: boolean;
  readonly onChoose: () => void;
}

function LinkRow({ link, index, here, chosen, onChoose }: RowProps) {
  const state = stateOf(link.state);
  const provider = link.provider === '' ? 'nobody' : labelOf(link.provider);
  return (
    <tr
      id={`link-${link.key}`}
      aria-rowindex={index + 2}
      aria-selected={chosen}
      class={`${here ? 'here' : ''} ${chosen ? 'chosen' : ''}`}
      onClick={onChoose}
    >
      <td class="link">
        <span class="ends">
          {labelOf(link.consumer)} <span class="arrow">→</span> {provider}
        </span>
        <span class="what">
          <Icon type={link.type} />
          {seen(link.name)} <span class="muted">{seen(link.type)}</span>
          {link.denied > 0 && <span class="badge">{link.denied.toLocaleString('en')} denied</span>}
        </span>
      </td>
      <td>
        <span class={`state ${state}`}>
          <span class="dot" aria-hidden="true" />
          {printable(link.state)}
        </span>
        <span class="load">{loadOf(link)}</span>
      </td>
    </tr>
  );
}

function loadOf({ active, toProviderRate, toConsumerRate }: Link): string {
  const open = active > 0 ? `${active.toLocaleString('en')} open` : '';
  return [open, rate(toProviderRate + toConsumerRate)].filter(Boolean).join(' · ');
}
