"""The tables, as numbered migrations. A migration that was released is never edited."""

# reliability.md §2.7: append-only triggers are the belt, code discipline the braces; a trigger's
# body must be an insert, so the refusal is an insert that fails.
_FIRST = """
create table episodes (
    id text primary key,
    task text not null,
    start_id bigint not null,
    instruction text not null,
    imagined boolean not null,
    success boolean not null,
    end_step integer not null,
    num_actions integer not null,
    probability double,
    threshold double,
    run text,
    iteration integer,
    group_name text,
    member integer,
    advantage double,
    reward double,
    lineage text not null,
    location text not null,
    created double not null
);

create table label_events (
    seq bigint primary key,
    event_id text not null unique,
    recorded double not null,
    guest boolean not null,
    actor text not null,
    episode_id text not null,
    outcome text check (outcome in ('success', 'fail', 'unsure')),
    dream_broke boolean,
    supersedes text,
    withdrawal boolean not null,
    event text not null,
    hash text not null
);
create table refusals (what text);
create trigger labels_are_never_deleted after delete on label_events for each statement
    insert into refusals select error('label events are append-only');
create trigger labels_are_never_changed after update on label_events for each statement
    insert into refusals select error('label events are append-only');

-- A label stands unless a withdrawal names it, or a correction that was not withdrawn does.
create view standing_labels as
with withdrawn as (select supersedes as event_id from label_events where withdrawal)
select * from label_events as label
where not withdrawal
  and label.event_id not in (select event_id from withdrawn)
  and not exists (
      select 1 from label_events as correction
      where correction.supersedes = label.event_id
        and not correction.withdrawal
        and correction.event_id not in (select event_id from withdrawn));

create view current_labels as
select * from standing_labels
qualify row_number() over (partition by episode_id, guest order by seq desc) = 1;

create table runs (
    id text primary key,
    job text not null,
    config text not null,
    created double not null,
    state text not null,
    changed double not null,
    error text,
    done bigint,
    total bigint,
    started double,
    updated double,
    attempt integer not null,
    step bigint,
    pace_done bigint,
    pace_time double,
    progress_time double,
    result text,
    event_offset bigint not null,
    ledger_offset bigint not null
);

create table metrics (
    run text not null,
    step bigint not null,
    name text not null,
    value double not null check (not isnan(value) and not isinf(value)),
    attempt integer not null,
    seq bigint not null,
    time double not null,
    primary key (run, step, name)
);

create table run_events (
    run text not null,
    seq bigint not null,
    attempt integer not null,
    time double not null,
    kind text not null,
    event text not null,
    primary key (run, seq)
);

create table ledger (
    run text not null,
    line_offset bigint not null,
    task text not null,
    start_id bigint not null,
    pool text not null,
    use text not null,
    policy text,
    success boolean not null,
    primary key (run, line_offset)
);

create table registered_checkpoints (
    name text primary key,
    directory text not null,
    created double not null
);
"""

# What was fetched from elsewhere. The files are the truth: each table is rebuilt from them.
_DOWNLOADS = """
create table downloads (
    key text primary key,
    source text not null,
    revision text not null,
    task text not null,
    files integer not null,
    bytes bigint not null,
    state text not null check (
        state in ('queued', 'running', 'complete', 'cancelled', 'failed', 'interrupted')),
    error text not null,
    changed double not null
);

create table registered_folders (
    name text primary key,
    directory text not null,
    created double not null
);

create table adopted_checkpoints (
    name text primary key,
    source text not null,
    revision text not null,
    hash text not null,
    created double not null
);
"""

# What the wall of episodes filters and sorts by, saved filters, and episodes put aside for judging.
_WALL = """
alter table episodes add column policy text;
alter table episodes add column world_model text;
alter table episodes add column reward_model text;
alter table episodes add column drift double;
update episodes set
    policy = json_extract_string(lineage, 'policy'),
    world_model = json_extract_string(lineage, 'world_model'),
    reward_model = json_extract_string(lineage, 'reward_model');

create table saved_views (
    name text primary key,
    query text not null,
    created double not null
);

create table label_queue (
    episode_id text primary key,
    queued double not null
);
"""

# Queues of clips to judge, rebuilt from their files; who holds which clip for how long; and what
# each person says of an episode, which a correction by somebody else does not unsay.
_QUEUES = """
create table queues (
    name text primary key,
    query text not null,
    overlap integer not null check (overlap > 0),
    created double not null,
    after_seq bigint not null
);

create table queue_items (
    queue text not null,
    episode_id text not null,
    place integer not null,
    stratum text not null,
    weight double not null check (weight > 0),
    gold text check (gold in ('success', 'fail')),
    primary key (queue, episode_id)
);

create table queue_leases (
    queue text not null,
    episode_id text not null,
    actor text not null,
    purpose text not null check (purpose in ('judge', 'adjudicate')),
    until double not null,
    primary key (queue, episode_id, actor, purpose)
);

create view own_labels as
select *, json_extract_string(event, 'mode') as mode, mode = 'adjudicate' as adjudication
from label_events
where not withdrawal
  and event_id not in (select supersedes from label_events where withdrawal)
qualify row_number() over (partition by episode_id, actor, adjudication order by seq desc) = 1;
"""

# What a reward model said of every window of an episode, so that a new threshold judges it without
# any model, and the thresholds that people chose. An episode that was never judged has a row of
# empty lists: its file was looked at. `thresholds.jsonl` is the truth of the second table.
_THRESHOLDS = """
create table window_scores (
    episode_id text not null,
    judged_by text not null,
    ends integer[] not null,
    probabilities float[] not null,
    primary key (episode_id, judged_by)
);

create table thresholds (
    seq bigint primary key,
    id text not null unique,
    reward_model text not null,
    threshold double not null check (threshold > 0 and threshold <= 1),
    actor text not null,
    created double not null,
    note text not null,
    measures text not null
);
"""

# Which of two clips is better: a log like that of the labels. What stands is the newest word of
# each person on each two episodes, whichever of them stood left.
_PREFERENCES = """
create table preference_events (
    seq bigint primary key,
    event_id text not null unique,
    recorded double not null,
    guest boolean not null,
    actor text not null,
    left_id text not null,
    right_id text not null,
    choice text check (choice in ('left', 'right', 'equal', 'broken')),
    supersedes text,
    withdrawal boolean not null,
    event text not null,
    hash text not null
);
create trigger preferences_are_never_deleted after delete on preference_events for each statement
    insert into refusals select error('preference events are append-only');
create trigger preferences_are_never_changed after update on preference_events for each statement
    insert into refusals select error('preference events are append-only');

create view standing_preferences as
with withdrawn as (select supersedes as event_id from preference_events where withdrawal)
select * from preference_events as said
where not withdrawal
  and said.event_id not in (select event_id from withdrawn)
  and not exists (
      select 1 from preference_events as correction
      where correction.supersedes = said.event_id
        and not correction.withdrawal
        and correction.event_id not in (select event_id from withdrawn))
qualify row_number() over (
    partition by actor, least(left_id, right_id), greatest(left_id, right_id)
    order by seq desc) = 1;
"""

MIGRATIONS: tuple[str, ...] = (
    *(_FIRST, _DOWNLOADS, _WALL, _QUEUES, _THRESHOLDS),
    _PREFERENCES,
)
