/** An icon for each type of link, drawn with lines in a square of 16, for the picture and for the table alike. */

const PATHS: Readonly<Record<string, string>> = {
  // A plug.
  unix: 'M8 14.5v-3M5.5 1.5v3.5M10.5 1.5v3.5M3.5 5h9v2.5a4 4 0 0 1-4 4h-1a4 4 0 0 1-4-4z',
  // Braces.
  rest: 'M6 2H5a1.5 1.5 0 0 0-1.5 1.5v2.7A1.8 1.8 0 0 1 2 8a1.8 1.8 0 0 1 1.5 1.8v2.7A1.5 1.5 0 0 0 5 14h1M10 2h1a1.5 1.5 0 0 1 1.5 1.5v2.7A1.8 1.8 0 0 0 14 8a1.8 1.8 0 0 0-1.5 1.8v2.7A1.5 1.5 0 0 1 11 14h-1',
  // A line that several share.
  dbus: 'M1.5 8h13M4 8V3.5M8 8v4.5M12 8V3.5M3 1.5h2v2H3zM7 12.5h2v2H7zM11 1.5h2v2h-2z',
  // A screen.
  drm: 'M1.5 2.5h13v8.5h-13zM8 11v3M5 14h6',
  // Keys.
  input: 'M1.5 4h13v8.5h-13zM4 6.8h.6M7 6.8h.6M10 6.8h.6M12 6.8h.6M4.5 9.7h7',
  // A window.
  wayland: 'M1.5 2.5h13v11h-13zM1.5 5.8h13M3.6 4.2h.5M5.8 4.2h.5',
  // Two ends that take turns.
  tcp: 'M1.5 5.5h12M10.5 2.5l3 3-3 3M14.5 10.5h-12M5.5 7.5l-3 3 3 3',
  // A globe.
  http: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM1.5 8h13M8 1.5c2 2 2.8 4 2.8 6.5S10 12.5 8 14.5C6 12.5 5.2 10.5 5.2 8S6 3.5 8 1.5',
  // A type of a plugin.
  other: 'M8 1.5l5.7 3.2v6.600L8 14.5l-5.7-3.2V4.700z',
};

export function iconPath(type: string): string {
  return (Object.hasOwn(PATHS, type) ? PATHS[type] : PATHS.other) as string;
}

export function Icon({ type }: { readonly type: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={iconPath(type)} />
    </svg>
  );
}
