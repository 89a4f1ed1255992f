/** Folder of the checkout or the package: build/Release is below it, dist/bundle too, of which a bundle of this is. */
import { fileURLToPath } from 'node:url';

export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));
