/** Fields that mean something for some types only: elsewhere they are ignored, and a notice says so. */
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import type { ServiceType } from './vocabulary.js';

/** `field` stands in an entry of this type, at `place`; `types` are those for which it means something. */
export function noteMisplaced(
  field: string,
  type: ServiceType,
  types: readonly ServiceType[],
  place: Place,
  problems: ProblemList,
): void {
  if (types.includes(type)) return;
  const at = { file: place.file, pointer: pointerTo(place.pointer, field) };
  const found = `${show(field)} on type ${type}, where it is ignored`;
  problems.add('shape-wrong', at, found, `it on ${types.join(' or ')} only`, 'notice');
}
