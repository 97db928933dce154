// Shapes that several modules share; those that cross to Python are written by it, in wire.d.ts.
import type { Wire } from "./wire.d.ts";

/** What a page may ask; each page's own has a part of it. An answer may be {refused: sentence}. */
export type Server = { [Name in keyof Wire]: (question: Wire[Name]["question"]) => Promise<any> };

/** `ask` of a server that is known already. */
export type Ask = <Name extends keyof Wire>(
  name: Name,
  question: Wire[Name]["question"],
  quiet?: boolean,
) => Promise<Wire[Name]["answer"] | null>;

/** What a mounted panel gets from Gradio. */
export interface Panel {
  element: HTMLElement;
  props: any;
  server: Server;
  watch: (name: string, callback: () => void) => void;
}

/** A template of `view` with its values. */
export type View = object;

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
