/** What the dashboard of packaging/grafana asks Prometheus for. */
import { textOf } from './pages.js';

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[];
  };
}

export const DASHBOARD: Dashboard = JSON.parse(textOf('packaging/grafana/pv-xconnect.json'));

/** Each with the title of its panel; `of`: of a variable. */
export function queriesOf(
  of: (variable: string) => string,
): { readonly title: string; readonly text: string }[] {
  return DASHBOARD.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      title,
      text: expr.replace(/\$(\w+)/g, (_, name: string) => of(name)),
    })),
  );
}
