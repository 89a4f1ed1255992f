/**
 * The same metrics as OpenMetrics 1.0 (github.com/prometheus/OpenMetrics) has them, for who asks for that form. Pure.
 *
 * Of what is written here it differs from Prometheus' own text in three things: the head of a counter names the family,
 * without the `_total` of its samples; no line is empty; and a last line says that nothing was cut off.
 */

export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** `text`: in the form of version 0.0.4, its counters with names that end in `_total`. */
export function openMetrics(text: string): string {
  const counters = new Set(
    [...text.matchAll(/^# TYPE (\S+)_total counter$/gm)].map(([, name]) => name),
  );
  const lines = text.split('\n').filter((line) => line !== '');
  const told = lines.map((line) => {
    const [, head, name = '', rest] = /^(# (?:HELP|TYPE)) (\S+)_total( .*)$/.exec(line) ?? [];
    return counters.has(name) ? `${head} ${name}${rest}` : line;
  });
  return `${told.join('\n')}\n# EOF\n`;
}

/** Whether a client that says so (`Accept`, RFC 9110, 12.5.1) would rather have OpenMetrics than anything else. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  let open = 0;
  let other = 0;
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((one) => one.trim());
    const parameterOf = (name: string) => {
      return parameters.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
    };
    const quality = Number(parameterOf('q') ?? 1) || 0;
    const isOurs = ['1.0.0', undefined].includes(parameterOf('version'));
    if (type === 'application/openmetrics-text' && isOurs) open = Math.max(open, quality);
    else if (type === 'text/plain') other = Math.max(other, quality);
  }
  return open > 0 && open >= other;
}
