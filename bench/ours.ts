import type { Subject } from './subject.js';
export const oursSubjects: readonly Subject[] = [];
