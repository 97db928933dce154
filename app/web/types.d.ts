// Shapes that several modules share; answers of the studio are described where Python makes them.

/** What a page may ask: one object in, one answer out. */
export type Server = Record<string, (question: object) => Promise<any>>;

/** What a mounted panel gets from Gradio. */
export interface Panel {
  element: HTMLElement;
  props: any;
  server: Server;
  watch: (name: string, callback: () => void) => void;
}

/** HTML that may stand in a page as it is. */
export interface Html {
  html: string;
}

/** What a person says of an episode or of a dream, or takes back; sent until it is acknowledged. */
export interface Stroke {
  event_id: string;
  episode_id?: string;
  dream?: { dream: string; node: number };
  undo?: string;
  actor?: string;
  supersedes?: string | null;
  outcome?: "success" | "fail" | "unsure" | null;
  dream_broke?: boolean | null;
  pair?: boolean;
  left?: string;
  right?: string;
  [name: string]: unknown;
}

/** What became of a stroke. */
export type Ack =
  | { saved: string; seq: number; at: number; episode?: string }
  | { event_id: string; refused: string };

/** An entry of the keyboard map. */
export interface Key {
  key: string;
  action: string;
  text: string;
}

declare global {
  /** plotly.min.js, a classic script. */
  const Plotly: any;
}
