// What comes over the wire. The chart library is a global script: `uPlot`.
import "uplot";

declare global {
  interface Tick {
    symbol: string; venue: string; feed: string; sequence: number;
    event_time: string; receive_time: string; price: string;
    bid?: string | null; ask?: string | null;
    buy_volume?: string | null; sell_volume?: string | null;
  }
  interface Horizon { horizon_s: number; target_time: string; mean: number; quantiles: number[]; }
  interface Outcome {
    horizon_s: number; issue_time: string; target_time: string; predicted: number; actual: number;
    crps: number; inside_50: boolean; inside_80: boolean; inside_95: boolean; width_95: number;
  }
  interface Prediction {
    symbol: string; issue_time: string; reference_price: number; model_version: string;
    horizons: Horizon[]; outcomes?: Outcome[];
  }
  interface Check { ready: boolean; detail: string; }
  interface Health {
    status: string; time: string; feed: string; notice: string | null; instance: string;
    last_tick_age_s: number | null; last_prediction_age_s: number | null; model_version: string | null;
    streams: number; components: Record<string, Check>;
  }
  type Column = (number | null)[];
  type Columns = Record<string, Column>;
  interface Summary {
    horizon_s: number; n: number; bias: number | null; mae: number | null; rmse: number | null;
    crps: number | null; coverage_50: number | null; coverage_80: number | null;
    coverage_95: number | null; width_95: number | null; skill_last_value: number | null;
    skill_baseline: number | null;
  }
  interface View {
    symbol: string; range: string; horizon: number; kind: "line" | "candles"; zone: "local" | "utc";
    from: number | null; to: number | null;
  }
}
export {};
