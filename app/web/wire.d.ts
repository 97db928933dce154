// Written by `python -m app.ui.wire`: change the dataclasses, not this file.

/** What a dream is told. */
export interface ActDream {
  /** its id */
  dream: string;
  /** undo forgets the last chunk and what came after */
  action: string;
  /** frames seen */
  after?: number | null;
  /** as the last answer said it */
  epoch?: number | null;
}

/** Checkpoints at one place on this machine; the job checks the last four. */
export interface Adopt {
  /** a path, or the address of a served world model */
  folder?: string | null;
  /** folder:NAME */
  source?: string | null;
  /** its key */
  download?: string | null;
  /** of the release */
  task?: string | null;
  /** a part of the release, or all that are there */
  role?: string | null;
  /** under which they can be chosen */
  name?: string | null;
  /** of the action statistics */
  statistics_key?: string | null;
  /** of a reward model */
  success_threshold?: number | null;
  /** of a world model */
  autoencoder?: string | null;
  /** that a trial may take */
  trial_megabytes?: number | null;
}

/** A policy, and what it is called in the tables. */
export interface Arm {
  /** checkpoint id */
  id: string;
  /** its name; without one its id */
  arm?: string | null;
}

/** A photograph or a video, of a trial or of the start that is to be set up again. */
export interface Attachment {
  /** of the sheet */
  run: string;
  /** its number, from 1 */
  trial: number;
  /** what it shows */
  of?: string | null;
  /** the file's id */
  upload: string;
  /** of the file */
  name?: string | null;
}

/** A backup to write. */
export interface BackUp {
  /** with the checkpoints */
  checkpoints?: boolean | null;
}

/** A backup that is here. */
export interface BackupName {
  /** the name of its file */
  backup: string;
}

/** The run that takes a dataset in. */
export interface Begun {
  run: string;
}

/** What stands beside the clip for somebody. */
export interface Beside {
  /** who judges */
  actor: string;
  /** whose clips */
  queue?: string | null;
  /** about comparisons of two clips */
  pairs?: boolean | null;
}

/** Futures that differ from a node's own. */
export interface BranchDream {
  /** its id */
  dream: string;
  /** its number */
  node: number;
  /** noise of policy or world, or a nudge */
  vary: string;
  /** of a nudge, by name or number */
  dimension?: any | null;
  /** of a nudge, raw */
  amount?: number | null;
  /** so many futures */
  count?: number | null;
}

/** An errand that is to stop. */
export interface Cancel {
  /** its id */
  id: string;
}

/** Settings of a dream from the next chunk on. */
export interface ChangeDream {
  /** its id */
  dream: string;
  /** language command */
  instruction?: string | null;
  /** of the dream */
  seed?: number | null;
  /** of the world model */
  denoising_steps?: number | null;
  /** of the policy */
  temperature?: number | null;
}

/** What goes out: labels, preferences, or the episodes of a filter, a view or some ids. */
export interface Choice {
  /** episodes or a log */
  what: string;
  /** of the file */
  format: string;
  /** episodes that fit */
  filter?: Filter | null;
  /** episodes of a saved view */
  view?: string | null;
  /** these episodes */
  ids?: string[] | null;
}

/** Three checkpoints. */
export interface Chosen {
  /** checkpoint id */
  policy: string;
  /** checkpoint id */
  world_model: string;
  /** checkpoint id */
  reward_model: string;
}

/** Leftovers to delete. */
export interface CleanUp {
  /** their kinds */
  kinds: string[];
}

/** Everything about an episode that a player needs. */
export interface Clip {
  id: string;
  task: string;
  start_id: number;
  imagined: boolean;
  success: boolean;
  judged: boolean;
  end_step: number;
  num_actions: number;
  probability: number | null;
  threshold: number | null;
  label: LabelRecord | null;
  reward_model: string | null;
  drift: number | null;
  run: string | null;
  iteration: number | null;
  group: string | null;
  member: number | null;
  advantage: number | null;
  reward: number | null;
  created: number;
  frames: string[];
  actions: number[][];
  chunk: number;
  human: boolean[] | null;
  lines: any;
  ends: number[];
  probabilities: number[];
  real_probabilities: number[];
  instruction: string;
  run_name: string | null;
  lineage: any;
  replay: any;
  decisive: number[];
}

/** A retraining whose models are compared. */
export interface Compare {
  /** its id */
  run: string;
  /** so many rows are left out */
  offset?: number | null;
  /** at most so many */
  limit?: number | null;
}

/** A run of fidelity: whose dreams are compared with reality, and on what. */
export interface Comparison {
  /** checkpoint id, of who plays where there are no recordings */
  policy?: string | null;
  /** run that took recordings in, in place of episodes played */
  recordings?: string | null;
  /** checkpoint id */
  world_model: string;
  /** checkpoint id */
  reward_model: string;
  /** of the simulator */
  task: string;
  /** of starts */
  pool: string;
  /** of the pool */
  first_start: number;
  /** real ones, on as many starts */
  episodes: number;
  /** of the policy */
  temperature: number;
  /** of the world model */
  denoising_steps: number;
  /** checkpoint id, compared as well */
  baseline_world_model?: string | null;
}

/** What a run is told. */
export interface Control {
  /** its id */
  run: string;
  /** pause, run (resume), stop (save and end) or cancel */
  control: string;
}

/** What is said of a run; what is left out stays as it is. */
export interface Describe {
  /** its id */
  run: string;
  /** in place of method and time */
  name?: string | null;
  /** anything worth knowing */
  note?: string | null;
  /** words to find it by */
  tags?: string[] | null;
  /** whether lists leave it out */
  hidden?: boolean | null;
}

/** A threshold looked at closely. */
export interface Details {
  /** of success */
  threshold: number;
  /** its hash */
  reward_model?: string | null;
  /** of the intervals that labels are counted for */
  width?: number | null;
}

/** A planned download. */
export interface DownloadKey {
  /** as its plan says it */
  key: string;
}

/** A threshold for the reward model of a dream, from now on. */
export interface DreamThreshold {
  /** its id */
  dream: string;
  /** probability that counts as success */
  threshold: number;
}

/** A dream by its id, as its viewers see it. */
export interface DreamView {
  epoch: number;
  first: number;
  next: number;
  frames: string[];
  ends: number[];
  probabilities: number[];
  actions: any[];
  overridden: any[];
  entropy: (number | null)[];
  drift: number[];
  node: number;
  nodes: number[];
  drivers: string[];
  threshold: number | null;
  outcome: any | null;
  state: string;
  error: string | null;
  frames_per_second: number | null;
  horizon: number;
  chunk_size: number;
  dims: string[];
  last_window_counts: boolean;
  settings: any;
  steering: any;
  dream: string;
}

/** Episodes for the label queue. */
export interface Enqueue {
  /** their ids */
  ids: string[];
}

/** How a trial ended, or that nobody knows any more. */
export interface Entry {
  /** of the sheet */
  run: string;
  /** its number, from 1 */
  trial: number;
  /** null: taken back */
  success?: boolean | null;
  /** anything worth knowing */
  note?: string | null;
}

/** An episode as lists show it. */
export interface EpisodeRecord {
  id: string;
  task: string;
  start_id: number;
  imagined: boolean;
  success: boolean;
  judged: boolean;
  end_step: number;
  num_actions: number;
  probability: number | null;
  threshold: number | null;
  label: LabelRecord | null;
  reward_model: string | null;
  drift: number | null;
  run: string | null;
  iteration: number | null;
  group: string | null;
  member: number | null;
  advantage: number | null;
  reward: number | null;
  created: number;
}

/** An errand, as far as it is. */
export interface ErrandRecord {
  id: string;
  kind: string;
  title: string;
  unit: string;
  state: string;
  done: number;
  total: number;
  result: any;
  error: string;
  at: number;
}

/** Errands, the newest first. */
export interface ErrandRecords {
  errands: ErrandRecord[];
}

/** Policies on common starts in the simulator. */
export interface Evaluate {
  /** compared */
  policies: Arm[];
  /** of the simulator */
  tasks: string[];
  /** of starts */
  pools: string[];
  /** of each pool */
  first_start: number;
  /** of each policy on each pool */
  episodes: number;
  /** of the policies */
  temperature: number;
  /** so often each policy plays */
  seeds: number;
  /** so many are filmed */
  record_episodes?: number | null;
}

/** An uploaded file to take in. */
export interface Examine {
  /** its id */
  upload: string;
  /** of the file; its ending says the format */
  name: string;
  /** report only */
  dry_run?: boolean | null;
}

/** An episode as a file; a dataset holds one or many. */
export interface Export {
  /** of the file */
  format: string;
  /** its id */
  episode?: string | null;
  /** ids, of a dataset */
  episodes?: string[] | null;
  /** how much a video is enlarged */
  scale?: number | null;
}

/** Words for failures, in the order of their keys. */
export interface FailureModes {
  /** the words */
  modes: string[];
}

/** Episodes whose films are shown. */
export interface Films {
  /** their ids */
  ids: string[];
}

/** Which episodes; what is left out means any. */
export interface Filter {
  /** that a run stored */
  run?: string | null;
  /** of a task */
  task?: string | null;
  /** acted by the policy of this hash */
  policy?: string | null;
  /** imagined by the world model of this hash */
  world_model?: string | null;
  /** judged by the reward model of this hash */
  reward_model?: string | null;
  /** that people say failed in this way */
  failure_mode?: string | null;
  /** on which people and the reward model disagree */
  disagreement?: boolean | null;
  /** of which people say that the dream broke */
  dream_broke?: boolean | null;
  /** in the label queue */
  queued?: boolean | null;
  /** of which a model, a simulator or its recording told the end */
  judged?: boolean | null;
  /** of an iteration */
  iteration?: number | null;
  /** imagined or real */
  kind?: string | null;
  /** the reward model's */
  verdict?: string | null;
  /** of the real twin */
  truth?: string | null;
  /** least probability */
  low?: number | null;
  /** largest probability */
  high?: number | null;
  /** what people say */
  label?: string | null;
  /** first day, such as 2026-03-01 */
  since?: string | null;
  /** last day */
  until?: string | null;
}

/** One page of the episodes of a filter. */
export interface Find {
  /** that a run stored */
  run?: string | null;
  /** of a task */
  task?: string | null;
  /** acted by the policy of this hash */
  policy?: string | null;
  /** imagined by the world model of this hash */
  world_model?: string | null;
  /** judged by the reward model of this hash */
  reward_model?: string | null;
  /** that people say failed in this way */
  failure_mode?: string | null;
  /** on which people and the reward model disagree */
  disagreement?: boolean | null;
  /** of which people say that the dream broke */
  dream_broke?: boolean | null;
  /** in the label queue */
  queued?: boolean | null;
  /** of which a model, a simulator or its recording told the end */
  judged?: boolean | null;
  /** of an iteration */
  iteration?: number | null;
  /** imagined or real */
  kind?: string | null;
  /** the reward model's */
  verdict?: string | null;
  /** of the real twin */
  truth?: string | null;
  /** least probability */
  low?: number | null;
  /** largest probability */
  high?: number | null;
  /** what people say */
  label?: string | null;
  /** first day, such as 2026-03-01 */
  since?: string | null;
  /** last day */
  until?: string | null;
  /** which come first */
  order?: string | null;
  /** so many are left out */
  offset?: number | null;
  /** at most so many */
  limit?: number | null;
}

/** One page of the groups with a member that fits. */
export interface FindGroups {
  /** that a run stored */
  run?: string | null;
  /** of a task */
  task?: string | null;
  /** acted by the policy of this hash */
  policy?: string | null;
  /** imagined by the world model of this hash */
  world_model?: string | null;
  /** judged by the reward model of this hash */
  reward_model?: string | null;
  /** that people say failed in this way */
  failure_mode?: string | null;
  /** on which people and the reward model disagree */
  disagreement?: boolean | null;
  /** of which people say that the dream broke */
  dream_broke?: boolean | null;
  /** in the label queue */
  queued?: boolean | null;
  /** of which a model, a simulator or its recording told the end */
  judged?: boolean | null;
  /** of an iteration */
  iteration?: number | null;
  /** imagined or real */
  kind?: string | null;
  /** the reward model's */
  verdict?: string | null;
  /** of the real twin */
  truth?: string | null;
  /** least probability */
  low?: number | null;
  /** largest probability */
  high?: number | null;
  /** what people say */
  label?: string | null;
  /** first day, such as 2026-03-01 */
  since?: string | null;
  /** last day */
  until?: string | null;
  /** as a filter has it; groups are newest first */
  order?: string | null;
  /** so many are left out */
  offset?: number | null;
  /** at most so many */
  limit?: number | null;
}

/** A page of a pool. */
export interface FindStarts {
  /** of starts */
  pool: string;
  /** so many are left out */
  offset?: number | null;
  /** at most so many */
  limit?: number | null;
  /** of this task; without one that of the shipped starts */
  task?: string | null;
}

/** Verdicts of a group the other way. */
export interface Flip {
  /** its id */
  run: string;
  /** its number */
  iteration: number;
  /** its name */
  group: string;
  /** episodes whose verdict is turned */
  flipped: string[];
}

/** A re-judging, and which of its groups. */
export interface Flips {
  /** its id */
  run: string;
  /** also groups in which no outcome changed */
  all?: boolean | null;
}

/** Which errands. */
export interface Follow {
  /** their ids; without them all */
  ids?: string[] | null;
}

/** What is new about runs since cursors. */
export interface FollowRun {
  /** its id; without one only the list of runs */
  run?: string | null;
  /** of the curves */
  axis?: string | null;
  /** cursor of the run */
  after?: number | null;
  /** cursors of the runs compared with it, by id */
  others?: any | null;
  /** of the alarms */
  thresholds?: Thresholds | null;
}

/** One page of the wall: its episodes, and how many episodes and groups fit. */
export interface Found {
  episodes: EpisodeRecord[];
  total: number;
  groups: number;
}

/** A frame of a stored episode. */
export interface FrameOf {
  /** its id */
  episode: string;
  /** its number */
  frame?: number | null;
}

/** Episodes from a file that `Export` made. */
export interface Import {
  /** the file as a data URI */
  data: string;
  /** report only */
  dry_run?: boolean | null;
}

/** What would be done, in words, or the choice that is still open. */
export interface Intended {
  open: string;
  words: string[];
  bytes: number;
  run: string;
}

/** What is to become of a dataset that was looked at. */
export interface Intent {
  /** as `look` named it */
  dataset: string;
  /** that the recordings are of */
  task?: string | null;
  /** to be made for them */
  new_task?: string | null;
  /** what they are */
  use?: string | null;
  /** who played, if it was a policy */
  policy?: string | null;
  /** what is done with them */
  plan?: RecordingPlan | null;
}

/** An iteration at another threshold. */
export interface JudgeAnew {
  /** its id; empty: episodes without a run */
  run: string;
  /** its number */
  iteration: number;
  /** of success */
  threshold: number;
  /** its hash; without one each episode's own */
  reward_model?: string | null;
}

/** The verdicts of a reward model. */
export interface Lab {
  /** its hash; without one the first */
  reward_model?: string | null;
}

/** What a label says of its episode, and its name: all that a correction keeps. */
export interface LabelRecord {
  event_id: string;
  outcome: string | null;
  dream_broke: boolean | null;
  end_step: number | null;
  span_first: number | null;
  span_last: number | null;
  failure_mode: string | null;
  note: string;
}

/** Which labels. */
export interface Labels {
  /** who said them */
  actor?: string | null;
  /** how they were said */
  mode?: string | null;
  /** of imagined or of real episodes */
  imagined?: boolean | null;
  /** of a task */
  task?: string | null;
  /** of a run */
  run?: string | null;
}

/** What a link shows again: a path of a dream, or a stored episode. */
export interface Linked {
  /** its id */
  dream?: string | null;
  /** its number */
  node?: number | null;
  /** its id */
  episode?: string | null;
}

/** Three checkpoints to load. */
export interface Load {
  /** checkpoint id */
  policy: string;
  /** checkpoint id */
  world_model: string;
  /** checkpoint id */
  reward_model: string;
  /** rollouts at once */
  rows?: number | null;
  /** where they do not fit, as the memory plan proposes */
  as_proposed?: boolean | null;
}

/** One page of what was said. */
export interface Log {
  /** labels or preferences */
  log?: string | null;
  /** who said it */
  actor?: string | null;
  /** so many are left out */
  offset?: number | null;
  /** at most so many */
  limit?: number | null;
}

/** A dataset to look at: a file that was sent, one of this machine, or one of the Hub. */
export interface Look {
  /** its id */
  upload?: string | null;
  /** of the file */
  name?: string | null;
  /** from this machine's root, or hf://datasets/… */
  path?: string | null;
  /** of robomimic's masks */
  filter_key?: string | null;
}

/** A queue over the episodes of a filter. */
export interface MakeQueue {
  /** which episodes, as on Episodes */
  filter?: View | null;
  /** in which they come, or how they are sampled */
  order?: string | null;
  /** at most so many */
  clips?: number | null;
  /** people who judge each clip */
  overlap?: number | null;
  /** every so many a clip of known answer; 0: none; else 10 if there is one */
  gold?: number | null;
  /** of the queue */
  name?: string | null;
  /** of the order */
  seed?: number | null;
}

/** A run of fidelity. */
export interface MatrixOf {
  /** its id */
  run: string;
}

/** The episodes of a group. */
export interface Members {
  members: EpisodeRecord[];
}

/** Which policies are tried against each other, on how many starts. */
export interface NewSheet {
  /** that is tried */
  task: string;
  /** their names; the first is the base */
  policies: string[];
  /** each tried once with every policy */
  starts?: number | null;
  /** of the order and the codes */
  seed?: number | null;
}

/** The next clips of a queue for somebody. */
export interface NextClips {
  /** its name */
  queue: string;
  /** who judges */
  actor: string;
  /** so many clips */
  count?: number | null;
  /** clips on which people disagree */
  adjudicate?: boolean | null;
}

/** The next clips outside queues. */
export interface NextOfAll {
  /** imagined, real or both */
  kind?: string | null;
  /** which come first */
  order?: string | null;
}

/** The next two clips of one start for somebody. */
export interface NextPairs {
  /** who judges */
  actor?: string | null;
  /** whose futures */
  pairing?: string | null;
  /** of one run alone */
  run?: string | null;
  /** so many pairs */
  count?: number | null;
}

/** A checkpoint by its id. */
export interface OneCheckpoint {
  /** its id */
  id: string;
}

/** A dream by its id. */
export interface OneDream {
  /** its id */
  dream: string;
}

/** An episode by its id. */
export interface OneEpisode {
  /** its id */
  episode: string;
}

/** A run by its id. */
export interface OneRun {
  /** its id */
  run: string;
}

/** A task by its name. */
export interface OneTask {
  /** its name */
  task: string;
}

/** A trial of a sheet. */
export interface OneTrial {
  /** of the sheet */
  run: string;
  /** its number, from 1 */
  trial: number;
}

/** A new dream; what is left out is the task's. */
export interface OpenDream {
  /** checkpoint id */
  policy: string;
  /** checkpoint id */
  world_model: string;
  /** checkpoint id */
  reward_model: string;
  /** where it begins, or */
  start_id?: number | null;
  /** the frame that it goes on from */
  from?: FrameOf | null;
  /** language command */
  instruction?: string | null;
  /** of the dream */
  seed?: number | null;
  /** of the world model */
  denoising_steps?: number | null;
  /** of the policy */
  temperature?: number | null;
  /** in steps, whole chunks */
  horizon?: number | null;
}

/** Films of some pairs of a run, dream and reality side by side. */
export interface PairFilms {
  /** its id */
  run: string;
  /** ids of their dreams */
  pairs: string[];
}

/** A pair as the screen lists it; `cell` is where it stands at the end. */
export interface PairRecord {
  imagined: string;
  real: string | null;
  start_id: number;
  cell: string | null;
  end_step: number;
  onset: number | null;
  frame: number;
  text: string;
}

/** Pairs of a run: real episodes beside their dreams. */
export interface Pairs {
  /** its id */
  run: string;
  /** whose dreams */
  model?: string | null;
  /** frame that a pair reaches; 0: all */
  depth?: number | null;
  /** of the matrix of success */
  cell?: string | null;
  /** in reality */
  outcome?: string | null;
}

/** A part of a file that is taken in; the first has no `upload` and offset 0. */
export interface Part {
  /** its bytes, base64 */
  data: string;
  /** the file that it belongs to */
  upload?: string | null;
  /** where it begins */
  offset?: number | null;
}

/** The next part of a file to take away. */
export interface PartOf {
  /** where it begins */
  offset: number;
  /** that made the file */
  errand?: string | null;
  /** that is the file */
  backup?: string | null;
}

/** The path to a node of a dream, or what was seen. */
export interface PathOf {
  /** its id */
  dream: string;
  /** its number */
  node?: number | null;
}

/** What so many rollouts at once need. */
export interface Plan {
  /** checkpoint id */
  policy: string;
  /** checkpoint id */
  world_model: string;
  /** checkpoint id */
  reward_model: string;
  /** rollouts at once */
  rows?: number | null;
}

/** Checkpoints elsewhere. */
export interface PlanDownload {
  /** a repository, a web address or folder:NAME */
  source: string;
  /** of the release */
  task?: string | null;
  /** of the release */
  parts?: string[] | null;
}

/** What a comparison is to show, in shares. */
export interface Power {
  /** of the success rates */
  difference: number;
  /** starts on which the two differ */
  discordant: number;
  /** success of one */
  rate: number;
  /** on common starts */
  episodes: number;
}

/** A checkpoint to publish. */
export interface Publication {
  /** its id */
  checkpoint: string;
}

/** A checkpoint, and where it goes. */
export interface Publish {
  /** its id */
  checkpoint: string;
  /** OWNER/REPOSITORY of the Hub, a folder or a bucket */
  target: string;
}

/** What a viewer has seen of a dream, or of the path to a node. */
export interface PullDream {
  /** its id */
  dream: string;
  /** frames seen */
  after?: number | null;
  /** as the last answer said it */
  epoch?: number | null;
  /** whose path, without going there */
  node?: number | null;
}

/** A queue by its name. */
export interface QueueName {
  /** of the queue */
  name: string;
}

/** How recordings become episodes; what is empty is decided where only one answer fits. */
export interface RecordingPlan {
  /** Camera whose frames are kept; needed where there are several */
  camera?: string | null;
  /** Top, left, height, width of what is kept; null: the largest square in the middle */
  crop?: number[] | null;
  /** How frames are turned */
  turn?: string | null;
  /** Side of a frame in pixels; 0: the task's */
  size?: number | null;
  /** Recorded steps that one action stands for */
  stride?: number | null;
  /** How actions become one over a stride: one word, or one a dimension */
  combine?: string[] | null;
  /** Who says what succeeded; empty: the dataset */
  success?: string | null;
  /** In place of the recordings' own */
  instruction?: string | null;
}

/** A run to judge anew; without a reward model by the stored probabilities. */
export interface Rejudge {
  /** its id */
  run: string;
  /** checkpoint id */
  reward_model?: string | null;
  /** of success */
  threshold?: number | null;
  /** one alone; 0: all */
  iteration?: number | null;
}

/** Clips that somebody does not judge after all. */
export interface Release {
  /** its name */
  queue: string;
  /** who held them */
  actor: string;
}

/** A link. */
export interface Replay {
  /** as `permalink` made it */
  token: string;
}

/** A suite as a file to keep. */
export interface Report {
  /** its id */
  suite: string;
  /** the arm that the others are compared with */
  reference?: string | null;
  /** of the file */
  format?: string | null;
}

/** An optimise run that goes on with another reward model. */
export interface Restart {
  /** its id */
  run: string;
  /** checkpoint id */
  reward_model: string;
  /** whose checkpoint; without one the newest */
  iteration?: number | null;
  /** so many more */
  iterations?: number | null;
}

/** A data directory to make of a backup. */
export interface Restore {
  /** the name of its file */
  backup: string;
  /** an absolute path, empty or new */
  folder: string;
}

/** A place from which events are taken in. */
export interface RestoreParts {
  /** as for sync */
  target: string;
  /** report only */
  dry_run?: boolean | null;
}

/** A suite of runs on common starts. */
export interface Results {
  /** its id */
  suite: string;
  /** the arm that the others are compared with */
  reference?: string | null;
}

/** A reward model trained on a label set. */
export interface Retrain {
  /** its version */
  label_set: string;
  /** checkpoint to fine-tune; without one from scratch */
  reward_model?: string | null;
  /** runs with real episodes */
  episodes_from?: string[] | null;
  /** of the fit */
  steps?: number | null;
  /** of the fit */
  learning_rate?: number | null;
  /** of the fit */
  seed?: number | null;
}

/** A run as lists show it. */
export interface RunRecord {
  id: string;
  name: string;
  method: string;
  note: string;
  tags: string[];
  hidden: boolean;
  job: string;
  state: string;
  phase: string;
  waits_for: string;
  busy: boolean;
  done: number;
  total: number;
  started: number | null;
  created: number;
  seconds: number | null;
  seconds_left: number | null;
  attempt: number;
  error: string | null;
}

/** A run with its options and its result. */
export interface RunStatus {
  id: string;
  name: string;
  method: string;
  note: string;
  tags: string[];
  hidden: boolean;
  job: string;
  state: string;
  phase: string;
  waits_for: string;
  busy: boolean;
  done: number;
  total: number;
  started: number | null;
  created: number;
  seconds: number | null;
  seconds_left: number | null;
  attempt: number;
  error: string | null;
  config: any;
  result: any | null;
}

/** Some runs. */
export interface Runs {
  /** their ids */
  runs: string[];
}

/** A threshold that counts from now on. */
export interface SaveThreshold {
  /** its hash */
  reward_model: string;
  /** of success */
  threshold: number;
  /** why */
  note?: string | null;
}

/** A filter to keep under a name; without one the name is forgotten. */
export interface SaveView {
  /** of the view */
  name: string;
  /** what it shows */
  filter?: View | null;
}

/** Strips of a trial's photographs and videos, and of those of its start: PNG, base64. */
export interface Seen {
  trial: string[];
  start: string[];
}

/** Where a dream goes. */
export interface SelectNode {
  /** its id */
  dream: string;
  /** its number */
  node: number;
}

/** Shipped starts. */
export interface Shipped {
  /** of this task; without one of the first */
  task?: string | null;
}

/** Who drives; `app.live.steering.Steering.steered` says what the numbers mean. */
export interface SteerDream {
  /** its id */
  dream: string;
  /** policy or human */
  mode: string;
  /** raw numbers, by step or by dimension */
  actions?: any | null;
  /** beyond the next chunk */
  hold?: boolean | null;
  /** open, close or a raw number */
  gripper?: any | null;
  /** execute the chunk */
  step?: boolean | null;
  /** frames seen */
  after?: number | null;
  /** as the last answer said it */
  epoch?: number | null;
}

/** An iteration of a run. */
export interface Strip {
  /** its id */
  run: string;
  /** its number */
  iteration: number;
}

/** What a person says, in order. */
export interface Strokes {
  /** each as `Judging.on_judge` reads it */
  strokes: any[];
}

/** A study's report as it stands. */
export interface StudyReport {
  /** its id */
  run: string;
  /** of the file */
  format?: string | null;
}

/** A place to which events are written. */
export interface Sync {
  /** a folder, s3://, gs:// or OWNER/DATASET of the Hub */
  target: string;
}

/** Every point of some runs as a file. */
export interface Table {
  /** their ids */
  runs: string[];
  /** of the file */
  format: string;
}

/** An uploaded backup to keep. */
export interface TakeBackup {
  /** its id */
  upload: string;
  /** of the file */
  name?: string | null;
}

/** An import at work. */
export interface TakenRun {
  /** its id */
  run: string;
}

/** The rule, ids of examples of each outcome, and ids of clips to practise on. */
export interface TaskCard {
  rule: string;
  success: string[];
  fail: string[];
  practice: string[];
}

/** From where on a curve is worth an alarm. */
export interface Thresholds {
  /** Imagined success may rise this much more than real or audited */
  gap?: number | null;
  /** Share of its first value below which the policy has collapsed */
  entropy?: number | null;
  /** Iterations in a row without a single kept group */
  dropped?: number | null;
  /** Times its first value at which dreams drift */
  drift?: number | null;
}

/** A stored imagined episode. */
export interface TwinOf {
  /** its id */
  episode_id: string;
}

/** All that an actor said, to take back. */
export interface Undo {
  /** who said it */
  actor: string;
  /** so many events as stand */
  open: number;
  /** labels or preferences */
  log?: string | null;
}

/** A filter and how its episodes are shown. */
export interface View {
  /** that a run stored */
  run?: string | null;
  /** of a task */
  task?: string | null;
  /** acted by the policy of this hash */
  policy?: string | null;
  /** imagined by the world model of this hash */
  world_model?: string | null;
  /** judged by the reward model of this hash */
  reward_model?: string | null;
  /** that people say failed in this way */
  failure_mode?: string | null;
  /** on which people and the reward model disagree */
  disagreement?: boolean | null;
  /** of which people say that the dream broke */
  dream_broke?: boolean | null;
  /** in the label queue */
  queued?: boolean | null;
  /** of which a model, a simulator or its recording told the end */
  judged?: boolean | null;
  /** of an iteration */
  iteration?: number | null;
  /** imagined or real */
  kind?: string | null;
  /** the reward model's */
  verdict?: string | null;
  /** of the real twin */
  truth?: string | null;
  /** least probability */
  low?: number | null;
  /** largest probability */
  high?: number | null;
  /** what people say */
  label?: string | null;
  /** first day, such as 2026-03-01 */
  since?: string | null;
  /** last day */
  until?: string | null;
  /** which come first */
  order?: string | null;
  /** episodes or groups */
  mode?: string | null;
}

/** Episodes shown as a whole. */
export interface Wholes {
  /** their ids */
  episodes: string[];
}

/** What a script may ask, by the name of the function. */
export interface Wire {
  act_dream: {
    question: ActDream;
    answer: DreamView;
  };
  added: {
    question: object;
    answer: any;
  };
  adopt_checkpoint: {
    question: Adopt;
    answer: Record<string, any[]>;
  };
  attach: {
    question: Attachment;
    answer: Seen;
  };
  back_up: {
    question: BackUp;
    answer: ErrandRecord;
  };
  branch_dream: {
    question: BranchDream;
    answer: any;
  };
  call_off: {
    question: Cancel;
    answer: ErrandRecord;
  };
  cancel: {
    question: Cancel;
    answer: ErrandRecord;
  };
  cancel_download: {
    question: DownloadKey;
    answer: any;
  };
  check_backup: {
    question: BackupName;
    answer: ErrandRecord;
  };
  checkpoints: {
    question: OneRun;
    answer: Record<string, any[]>;
  };
  choices: {
    question: object;
    answer: any;
  };
  clean_up: {
    question: CleanUp;
    answer: any;
  };
  clip: {
    question: OneEpisode;
    answer: Clip | any;
  };
  compare: {
    question: Compare;
    answer: any;
  };
  control: {
    question: Control;
    answer: RunStatus;
  };
  control_adoption: {
    question: Control;
    answer: RunStatus;
  };
  describe: {
    question: Describe;
    answer: RunRecord;
  };
  details: {
    question: OneCheckpoint | Details;
    answer: any;
  };
  differences: {
    question: Runs;
    answer: any;
  };
  dream_tree: {
    question: OneDream;
    answer: any;
  };
  enter: {
    question: Entry;
    answer: any;
  };
  episode: {
    question: OneEpisode;
    answer: any;
  };
  errands: {
    question: Follow;
    answer: ErrandRecords;
  };
  examine: {
    question: Examine;
    answer: ErrandRecord;
  };
  export: {
    question: Choice;
    answer: ErrandRecord;
  };
  export_episode: {
    question: Export;
    answer: any;
  };
  facets: {
    question: object;
    answer: any;
  };
  films: {
    question: Films | PairFilms | Wholes;
    answer: Record<string, string> | Record<string, Record<string, string>> | any;
  };
  find: {
    question: Find;
    answer: Found;
  };
  find_groups: {
    question: FindGroups;
    answer: any;
  };
  flip: {
    question: Flip;
    answer: any;
  };
  flips: {
    question: Flips;
    answer: any;
  };
  follow: {
    question: Follow | OneRun | FollowRun;
    answer: ErrandRecords | any;
  };
  freeze: {
    question: Labels;
    answer: any;
  };
  import_episodes: {
    question: Import;
    answer: any;
  };
  intend: {
    question: Intent;
    answer: Intended;
  };
  jobs: {
    question: object;
    answer: any;
  };
  judge: {
    question: Strokes;
    answer: any;
  };
  kept: {
    question: object;
    answer: any;
  };
  lab: {
    question: Lab;
    answer: any;
  };
  load: {
    question: Load;
    answer: any;
  };
  log: {
    question: Log;
    answer: any;
  };
  look: {
    question: Look;
    answer: ErrandRecord;
  };
  make: {
    question: NewSheet;
    answer: Record<string, string>;
  };
  make_queue: {
    question: MakeQueue;
    answer: any;
  };
  next: {
    question: NextClips;
    answer: any;
  };
  open_dream: {
    question: OpenDream;
    answer: Record<string, string>;
  };
  overview: {
    question: object;
    answer: any;
  };
  pairs: {
    question: Pairs | NextPairs;
    answer: Record<string, PairRecord[]> | any;
  };
  part: {
    question: PartOf;
    answer: any;
  };
  permalink: {
    question: Linked;
    answer: any;
  };
  plan: {
    question: Choice | Evaluate | Comparison | Plan;
    answer: any;
  };
  plan_download: {
    question: PlanDownload;
    answer: any;
  };
  power: {
    question: Power;
    answer: any;
  };
  probe_dream: {
    question: OpenDream;
    answer: any;
  };
  probes: {
    question: OneRun;
    answer: Record<string, any[]>;
  };
  propose_dream: {
    question: OneDream;
    answer: any;
  };
  publication: {
    question: Publication;
    answer: any;
  };
  publish: {
    question: Publish;
    answer: ErrandRecord;
  };
  pull_dream: {
    question: PullDream;
    answer: DreamView;
  };
  queue: {
    question: Enqueue | NextOfAll;
    answer: Record<string, number> | any;
  };
  queues: {
    question: object;
    answer: any;
  };
  rail: {
    question: Beside;
    answer: any;
  };
  read: {
    question: OneRun;
    answer: Record<string, string>;
  };
  reality: {
    question: object;
    answer: any;
  };
  rejudge: {
    question: Rejudge | JudgeAnew;
    answer: Record<string, string> | any;
  };
  release: {
    question: Release;
    answer: Record<string, number>;
  };
  remove_backup: {
    question: BackupName;
    answer: any;
  };
  remove_queue: {
    question: QueueName;
    answer: any;
  };
  replay: {
    question: Replay;
    answer: any;
  };
  report: {
    question: Report;
    answer: Record<string, string>;
  };
  restart: {
    question: Restart;
    answer: Record<string, string>;
  };
  restarts: {
    question: OneRun;
    answer: Record<string, number[]>;
  };
  restore: {
    question: Restore;
    answer: ErrandRecord;
  };
  restore_parts: {
    question: RestoreParts;
    answer: ErrandRecord;
  };
  results: {
    question: Results | OneRun;
    answer: any;
  };
  runs: {
    question: object;
    answer: Record<string, any[]> | any;
  };
  said: {
    question: OneEpisode;
    answer: any;
  };
  save: {
    question: SaveThreshold;
    answer: any;
  };
  save_dream: {
    question: PathOf;
    answer: any;
  };
  save_modes: {
    question: FailureModes;
    answer: Record<string, string[]>;
  };
  save_threshold: {
    question: DreamThreshold;
    answer: Record<string, number>;
  };
  save_view: {
    question: SaveView;
    answer: Record<string, any>;
  };
  seen: {
    question: OneTrial;
    answer: Seen;
  };
  select_dream: {
    question: SelectNode;
    answer: DreamView;
  };
  set_dream: {
    question: ChangeDream;
    answer: any;
  };
  sheet: {
    question: OneRun;
    answer: any;
  };
  shipped: {
    question: Shipped;
    answer: Record<string, any[]>;
  };
  siblings: {
    question: OneEpisode;
    answer: Members;
  };
  slots: {
    question: object;
    answer: any;
  };
  standing: {
    question: Labels;
    answer: Record<string, number>;
  };
  start: {
    question: Evaluate | Comparison | Retrain;
    answer: Record<string, string[]> | Record<string, string>;
  };
  start_download: {
    question: DownloadKey;
    answer: any;
  };
  starts: {
    question: FindStarts;
    answer: any;
  };
  statistics: {
    question: Beside;
    answer: any;
  };
  status: {
    question: object;
    answer: any;
  };
  steer_dream: {
    question: SteerDream;
    answer: any;
  };
  strip: {
    question: Strip;
    answer: Record<string, any[]>;
  };
  study_report: {
    question: StudyReport;
    answer: Record<string, string>;
  };
  sync: {
    question: Sync;
    answer: ErrandRecord;
  };
  table: {
    question: Table;
    answer: any;
  };
  take: {
    question: Intent;
    answer: Begun;
  };
  take_backup: {
    question: TakeBackup;
    answer: ErrandRecord;
  };
  take_part: {
    question: Part;
    answer: any;
  };
  taken: {
    question: TakenRun;
    answer: RunStatus;
  };
  task_card: {
    question: OneTask;
    answer: TaskCard;
  };
  twin_dream: {
    question: PathOf;
    answer: any;
  };
  twin_episode: {
    question: TwinOf;
    answer: any;
  };
  twin_matrix: {
    question: MatrixOf;
    answer: any;
  };
  undo: {
    question: Undo;
    answer: any;
  };
  unload: {
    question: Chosen;
    answer: any;
  };
  verify: {
    question: object;
    answer: ErrandRecord;
  };
  videos: {
    question: OneRun;
    answer: any;
  };
}
