/** The newest changes of links, latest first; what is kept is bounded by the model. */
import { printable } from '../../manifest/text.js';
import { seen, time } from './format.js';
import { type Model, stateOf } from './model.js';
import { labelOf } from './scene.js';

interface Props {
  readonly model: Model;
  readonly onChoose: (key: number) => void;
}

export function Events({ model, onChoose }: Props) {
  if (model.occurrences.length === 0) {
    return <p class="none">Nothing has changed since this page was first looked at.</p>;
  }
  return (
    <ol class="events">
      {[...model.occurrences].reverse().map((one) => (
        <li key={one.number}>
          <time dateTime={one.at}>{time(one.at)}</time>
          <span class={`state ${one.state === 'gone' ? 'gone' : stateOf(one.state)}`}>
            <span class="dot" aria-hidden="true" />
            {printable(one.state)}
          </span>
          {model.links.has(one.key) ? (
            <button type="button" class="plain" onClick={() => onChoose(one.key)}>
              {labelOf(one.consumer)} → {seen(one.name)}
            </button>
          ) : (
            <span class="plain">
              {labelOf(one.consumer)} → {seen(one.name)}
            </span>
          )}
          {one.message && <span class="message">{printable(one.message)}</span>}
        </li>
      ))}
    </ol>
  );
}
