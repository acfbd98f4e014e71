// The kinds of panel that the dashboards have, as Grafana's own schema describes them, in the form that JSON gives them.
import type * as grafana from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';

// JSON has an enum's value where TypeScript wants its name; what is left out has a default.
type Json<T> = T extends string ? `${T}`
  : T extends number ? (`${T}` extends `${infer N extends number}` ? N : T)
  : T extends boolean | null | undefined ? T
  : T extends Array<infer U> ? Array<Json<U>>
  : T extends object ? { [K in keyof T]?: Json<T[K]> }
  : T;

// Grafana's schema leaves a data source's own queries out: these are Prometheus' that the dashboards use.
interface Target {
  datasource: { type: 'prometheus'; uid: string };
  refId: string;
  expr: string;
  legendFormat: string;
  range?: boolean;
  instant?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  interval?: string;
  editorMode?: 'code' | 'builder';
}

interface Configured<Kind extends string, Options, Custom> {
  type: Kind;
  targets: Target[];
  options: Json<Options>;
  fieldConfig: {
    defaults: Json<Omit<raw.FieldConfig, 'custom'>> & { custom?: Json<Custom> };
    overrides: Array<{ matcher: { id: string; options: string }; properties: Array<{ id: string; value: unknown }> }>;
  };
}

type Panel<Kind extends string, Options, Custom> =
  Json<Omit<raw.Panel, 'type' | 'targets' | 'options' | 'fieldConfig'>> & Configured<Kind, Options, Custom>;

export type Stat = Panel<'stat', stat.Options, Record<string, never>>;
export type Timeseries = Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>;
export type Table = Panel<'table', table.Options, table.FieldConfig>;
export type Bargauge = Panel<'bargauge', bargauge.Options, Record<string, never>>;
export type StateTimeline = Panel<'state-timeline', timeline.Options, timeline.FieldConfig>;
type Query = Json<grafana.AnnotationQuery> & { expr?: string; step?: string; tagKeys?: string; textFormat?: string; titleFormat?: string };
export type Board = Json<Omit<raw.Dashboard, 'panels' | 'annotations'>> & { annotations: { list: Query[] } };
