/**
 * Where everything lies in a shard's memory: the one definition that the kernel (AssemblyScript), its TypeScript
 * wrappers and the WAL writer share. Plain numbers only, so that both languages read this file.
 *
 *   0        nothing (a null pointer)
 *   64       state words, below
 *   8 KiB    CRC32C tables
 *   16 KiB   SNAPPY_TAGS
 *   24 KiB   free lists by size, what is at work when dead series are collected
 *   48 KiB   AHEAD
 *   64 KiB   PLAN: the series of the request at work
 *   2.75 MiB READER_TEXT: symbols that readers look for
 *   4 MiB    DEFINITIONS, then SAMPLES: the WAL records being built
 *   8 MiB    RING: framed WAL records on their way to disk
 *   24 MiB   IN: a request body as received, then labels that were scattered
 *   57 MiB   RAW: the same decompressed
 *   90 MiB   SCRATCH: labels being put in order, chunks being rebuilt, the WAL record of items being built
 *   94 MiB   PIECE_MARKS: where free pieces begin
 *   102 MiB  the arena: tables, symbols, rows, postings, chunks
 *
 * Pointers are u32 byte addresses, numbers little-endian. A word that readers on other threads follow is stored
 * atomically after what it leads to.
 */

// State words of the allocator (u32). FREE_* are heads of lists.
export const BUMP: u32 = 64;
export const SOFT_LIMIT: u32 = 68;
export const HARD_LIMIT: u32 = 72;
export const FREE_BYTES: u32 = 76;
export const FREE_PIECES: u32 = 80; // 11 orders: GRAIN and its doubles up to 64 KiB
export const GRAIN: u32 = 64;

// Free pieces of any other kind: exact sizes up to LARGEST_EXACT, a list for each multiple of eight; longer ones in one
// list, as [next u32 | bytes u32]. Rows and aliases keep to themselves: a pointer to one that is gone leads to another.
export const LARGEST_EXACT: u32 = 8192;
export const FREE_EXACT: u32 = 24576;
export const FREE_ALIASES: u32 = 32768; // exact sizes as above, then powers of two
export const FREE_LONG: u32 = 864;
export const FREE_ROWS: u32 = 868; // first in, first out: rows are used again in the order of their addresses
export const FREE_ROWS_LAST: u32 = 872;

// Slabs: what is read in the order of creation lies together. Each is the next free byte and the end.
export const ALIAS_SLAB: u32 = 296;
export const ROW_SLAB: u32 = 304;
export const SLAB_BYTES: u32 = 1048576;

// Roots of the hash tables (u32): [mask | entries | slots used | 0 | (hash u32, pointer u32) × (mask + 1)].
export const TABLE_MASK: u32 = 0;
export const TABLE_ENTRIES: u32 = 4;
export const TABLE_USED: u32 = 8; // entries, and what was removed and may stand in the way of others
export const TABLE_SLOTS: u32 = 16;
export const REMOVED: u32 = 40960; // where a slot points whose entry was removed: nothing that anybody looks for
export const ALIASES: u32 = 192;
export const SYMBOLS: u32 = 196;
export const NAMES: u32 = 200;
export const PAIRS: u32 = 204;
export const SERIES: u32 = 208;
export const REFS: u32 = 212; // SeriesRef → row, for the replay of the WAL
export const COVERED: u32 = 280; // (tenant, window) → what published blocks hold of it, for the replay
export const HASH_SEED: u32 = 216;

// Rows whose definitions are not in the WAL a second time, oldest first; and how many ever were made, and are defined twice.
export const ROWS_TO_DEFINE: u32 = 224; // a list, taken from its beginning
export const ROWS_DEFINED_TWICE: u32 = 240;
export const ROWS_TO_DEFINE_AT: u32 = 244; // place of the first one in its segment
export const NEXT_GENERATION: u32 = 248;
export const NEXT_REF: u32 = 256; // u64
export const SEQUENCE: u32 = 264; // u64, of the next WAL frame
export const WAL_GENERATION: u32 = 272;
export const TABLE_GROWTH: u32 = 276; // bytes that all hash tables take when each grows once
export const ROWS_MADE: u32 = 284;
export const TENANTS: u32 = 288; // a hash table

// Dead series on their way out.
export const ROW_COUNT: u32 = 876; // rows that are not dead
export const MEMORY_VERSION: u32 = 880; // goes up when addresses that readers may know are about to be used again
export const RETIRED: u32 = 888; // a list of (address, bytes): nothing leads there any more, but readers may be there
export const RETIRED_BEFORE: u32 = 904; // the same, of which it is known which readers have to leave first
export const RETIRED_BEFORE_AT: u32 = 920; // place of the first one in its segment
export const RETIRED_ROW: u32 = 1; // in the place of the bytes
export const COLLECT_STAGE: u32 = 924;
export const COLLECT_AT: u32 = 928; // how far the stage is
export const COPY_SEGMENT: u32 = 932; // how far the copy of a list is: place in the segment, items in all
export const COPY_INDEX: u32 = 936;
export const COPY_DONE: u32 = 940;
export const COPY: u32 = 944; // a list
export const DEAD_ROWS: u32 = 45056; // lists of what the collection at work has met
export const CHANGED_PAIRS: u32 = 45072;
export const CHANGED_NAMES: u32 = 45088;

// What a call reports (u32 unless said otherwise).
export const PLAN_COUNT: u32 = 320;
export const PLAN_NEXT: u32 = 324;
export const ERROR_CODE: u32 = 328;
export const ERROR_AT: u32 = 332;
export const OUT_RECEIVED: u32 = 336;
export const OUT_STORED: u32 = 340;
export const OUT_DUPLICATES: u32 = 344;
export const OUT_CONFLICTS: u32 = 348;
export const OUT_NEW_SERIES: u32 = 352;
export const OUT_EXEMPLARS: u32 = 356;
export const OUT_ORPHANS: u32 = 364; // replayed samples of series without a definition
export const OUT_OFFENDERS: u32 = 360; // how many of the three below are filled
export const OUT_HISTOGRAMS: u32 = 368; // of OUT_STORED and OUT_DUPLICATES, those that are histograms
export const OUT_EXEMPLARS_STORED: u32 = 372;
export const OUT_DROPPED_RELABEL: u32 = 376; // samples of series that the policy drops
export const OUT_DROPPED_HA: u32 = 380; // samples of replicas that are not elected
export const OUT_REJECTED: u32 = 384; // u32 × REASONS, by reason
export const OFFENDERS: u32 = 512; // 3 × OFFENDER_BYTES
export const OFFENDER_BYTES: u32 = 32;
export const OFFENDER_REASON: u32 = 0;
export const OFFENDER_LABELS: u32 = 4; // wire bytes of the labels
export const OFFENDER_LABELS_BYTES: u32 = 8;
export const OFFENDER_ACTUAL: u32 = 12;
export const OFFENDER_TIME: u32 = 16; // i64
export const OUT_NEWEST: u32 = 608; // i64: time of the newest sample stored of the request, -1 if none was
export const OUT_CARRIED_SAMPLES: u32 = 616; // of a request of 2.0: what is in it, whatever becomes of it
export const OUT_CARRIED_HISTOGRAMS: u32 = 620;
export const OUT_EMPTY_SERIES: u32 = 624; // series refused that had nothing to count
export const OUT_END: u32 = 640;

// The request at work, and what it said of metrics.
export const PLAN_PROTOCOL: u32 = 640; // PROTOCOL_V1 or PROTOCOL_V2
export const SYMBOL_COUNT: u32 = 644; // of a request of 2.0
export const METADATA_COUNT: u32 = 648;

// What becomes of a series before it is stored is asked once for each alias, and again when the policy has changed.
export const POLICY_GENERATION: u32 = 768; // 0 = there is no policy
export const ADMIT_REPLICA: u32 = 772; // what the host says beside its answer: the replica that sends the series, or 0
export const HA_ROUND: u32 = 776; // in each round, losers' series without a row are looked for once
export const HA_REQUEST: u32 = 780; // counts calls of `meetReplicas`
export const ROWLESS_ALIASES: u32 = 784; // how many stand for no row
export const MET_COUNT: u32 = 792; // replicas in MET_REPLICAS
export const FILL_REPLICA: u32 = 788; // only what this replica sends is placed, behind what each series has; 0 = all

// What the host answers instead of the length of new labels in ADMITTED.
export const ADMIT_DROPPED: u32 = 0;
export const ADMIT_UNCHANGED: u32 = 4294967295;
export const ADMIT_TOO_LONG: u32 = 4294967294;
// Items at work: where links to a place in a row's items are, and the state of the generator of their levels.
export const ITEM_PLACE: u32 = 704; // u32 × ITEM_LEVELS
export const ITEM_RANDOM: u32 = 736;
// Exemplars of a request that are dropped, u32 × 6, by EXEMPLAR_… - 1.
export const OUT_EXEMPLARS_DROPPED: u32 = 740;

// What the server was told about times and windows. Milliseconds of data time.
export const MAX_OPEN_WINDOWS: u32 = 832; // of a tenant
export const RESERVED_NAMES: u32 = 836; // label names that the server gives: [bytes u32 | (length u8, text)*]; 0 = none
export const OUT_OF_ORDER_MS: u32 = 840; // i64: a window that ended so long before the tenant's newest sample is late
export const FUTURE_MS: u32 = 848; // i64: how far after now a sample may be

// Words shared with the WAL writer, each on a cache line of its own side. Positions are bytes mod 2^32.
export const WAL_HEAD: u32 = 1024;
export const WAL_TAIL: u32 = 1088;
export const WAL_STATE: u32 = 1092; // 0 ok, 1 failing
export const WAL_STOP: u32 = 1096;
export const WAL_SYNCS: u32 = 1100;
export const WAL_SEGMENT: u32 = 1104;
export const WAL_FLOOR: u32 = 1108; // MiB that stay free on the disk
export const WAL_SYNC_WANTED: u32 = 1112; // 1: somebody waits for a sync that would come later by itself
export const WAL_SYNCED: u32 = 1120; // u64, in one piece: segment << 32 | the end of its bytes that are on disk; at least as far as the tail
export const WAL_WANTED: u32 = 1152; // up to where the log is to be written now

export const CRC_TABLES: u32 = 8192; // 8 × 256 × u32

export const SNAPPY_TAGS: u32 = 16384; // 256 × u64

// What the second walk will touch next: u32 × 64.
export const AHEAD: u32 = 49152;

export const PLAN: u32 = 65536;
export const PLAN_ENTRY_BYTES: u32 = 28;
export const PLAN_LABELS: u32 = 0; // wire bytes of the labels, or of the whole series if they are scattered in it or of 2.0
export const PLAN_LABELS_BYTES: u32 = 4; // SCATTERED: other fields stand between them
export const SCATTERED: u32 = 4294967295;
export const PLAN_METADATA: u32 = 4; // of 2.0: the identity of what is said of the metric, 0 = nothing
export const PLAN_FIELDS: u32 = 8; // where the fields with samples begin; moves on as they are applied. Of a refused one: what was measured
export const PLAN_END: u32 = 12;
export const PLAN_ALIAS: u32 = 16; // 0 = unknown
export const PLAN_SAMPLES: u32 = 20; // histograms too
export const HAS_EXEMPLARS: u32 = 2147483648; // added to them
export const PLAN_ROW: u32 = 24; // of a series that has no alias; below REASONS: why it is refused, 0 = unknown yet
export const MAX_SERIES_PER_REQUEST: u32 = 100000; // × 28 bytes: the plan ends before READER_TEXT

export const PROTOCOL_V1: u32 = 1;
export const PROTOCOL_V2: u32 = 2;

// Where a reader puts the text of a symbol that it looks for: a piece for each reading thread.
export const READER_TEXT: u32 = 2883584;
export const READER_TEXT_BYTES: u32 = 20480;
export const MAX_READERS: u32 = 64;

export const DEFINITIONS: u32 = 4194304;
export const SAMPLES: u32 = 6291456;
export const RECORD_BYTES: u32 = 2097152; // room for a record of either kind
export const WAL_RING: u32 = 8388608;
export const WAL_RING_BYTES: u32 = 16777216;
export const IN: u32 = 25165824;
export const RAW: u32 = 59768832;
export const MAX_BODY_BYTES: u32 = 33554432; // 32 MiB, compressed or not; behind each region 1 MiB of slack
export const SCRATCH: u32 = 94371840;
export const SCRATCH_BYTES: u32 = 4194304;
// In SCRATCH, for good: which symbol followed a symbol last time (by its address), and what was said of metrics already.
export const SUCCESSORS: u32 = 98304000; // u32 × SUCCESSOR_SLOTS; emptied before memory of symbols is used again
export const SUCCESSOR_SLOTS: u32 = 65536;
export const METADATA_TOLD: u32 = 98172928; // u64 × TOLD_SLOTS
export const TOLD_SLOTS: u32 = 16384;

// In SCRATCH, for one request: what it says of metrics. Text is (address, bytes), of the request or a symbol.
export const METADATA: u32 = 96993280;
export const MAX_METADATA: u32 = 32768;
export const METADATA_BYTES: u32 = 32;
export const METADATA_NAME: u32 = 0;
export const METADATA_HELP: u32 = 8;
export const METADATA_UNIT: u32 = 16;
export const METADATA_TYPE: u32 = 24;

// In IN, for one request of 2.0: its symbols, and the keys of series that are looked up together.
export const REQUEST_SYMBOLS: u32 = 33554432;
export const REQUEST_SYMBOL_BYTES: u32 = 16;
export const REQUEST_SYMBOL: u32 = 0; // ours with that text; UNKNOWN_SYMBOL if there is none, 0 if nobody looked yet
export const REQUEST_SYMBOL_TEXT: u32 = 4;
export const REQUEST_SYMBOL_LENGTH: u32 = 8;
export const REQUEST_SYMBOL_HASH: u32 = 12; // 0 = not needed yet
export const UNKNOWN_SYMBOL: u32 = 1;
export const MAX_SYMBOLS_PER_REQUEST: u32 = 1048576;
export const KEYS: u32 = 50331648;
export const MAX_KEY_SYMBOLS: u32 = 256;

export const ADMITTED: u32 = 95944704; // in SCRATCH: wire bytes of labels as the host wants them stored
export const ADMITTED_BYTES: u32 = 524288;
export const MET_REPLICAS: u32 = 96468992; // in SCRATCH: the replicas that send the request at work
export const ITEMS: u32 = 94650368; // in SCRATCH: the WAL record of items
export const ITEMS_BYTES: u32 = 524288;
export const PIECE_MARKS: u32 = 98566144; // a bit for each GRAIN of all addresses
export const ARENA: u32 = 106954752;

// A list: grows by segments [next u32 | capacity u32 | items], never moves. The count is published. A list without what
// died takes the place of an older one by one store of count and first segment together: lists are 8-aligned.
export const LIST_COUNT: u32 = 0;
export const LIST_FIRST: u32 = 4;
export const LIST_LAST: u32 = 8;
export const LIST_ROOM: u32 = 12; // u16
export const LIST_STATE: u32 = 14; // u16: one of LIST_…, of pairs and names while dead series are collected
export const LIST_CHANGES: u32 = 1;
export const LIST_GONE: u32 = 2;
export const SEGMENT_NEXT: u32 = 0;
export const SEGMENT_CAPACITY: u32 = 4;
export const SEGMENT_ITEMS: u32 = 8;

// A symbol is its address: [hash | length | uses | bytes]. Names, pairs, tenants and whoever keeps its address use it.
export const SYMBOL_LENGTH: u32 = 4;
export const SYMBOL_USES: u32 = 8;
export const SYMBOL_TEXT: u32 = 12;

// A label name of a tenant, and a name=value pair with its postings (rows in order of creation).
export const NAME_BYTES: u32 = 32;
export const NAME_TENANT: u32 = 0;
export const NAME_SYMBOL: u32 = 4;
export const NAME_NEXT: u32 = 8; // of the same tenant
export const NAME_PAIRS: u32 = 16; // a list of pairs
export const PAIR_BYTES: u32 = 24;
export const PAIR_NAME: u32 = 0;
export const PAIR_VALUE: u32 = 4; // a symbol
export const PAIR_ROWS: u32 = 8; // a list

export const TENANT_BYTES: u32 = 80;
export const TENANT_ROWS: u32 = 0; // a list
export const TENANT_NAMES: u32 = 16; // the first name
export const TENANT_KEY: u32 = 20; // a symbol
export const TENANT_NEWEST: u32 = 24; // i64: time of the newest sample, -1 if there was none
export const TENANT_SEALED_UNTIL: u32 = 32; // i64: end of the newest window ever sealed
export const TENANT_WINDOWS: u32 = 40; // how many are live
export const TENANT_WINDOW_SLOTS: u32 = 44; // behind how many of WINDOW_BYTES there is room for
export const TENANT_SAMPLES: u32 = 48; // u64: stored in all
export const TENANT_MAX_SERIES: u32 = 56; // in the head; 0 = as many as there is room for
export const TENANT_MAX_LABELS: u32 = 60; // this and the next ones are at most what MAX_LABELS … say
export const TENANT_MAX_NAME_BYTES: u32 = 64;
export const TENANT_MAX_VALUE_BYTES: u32 = 68;
export const TENANT_MAX_SERIES_BYTES: u32 = 72;
export const TENANT_HIDDEN: u32 = 76; // new series that came with a label of RESERVED_NAMES

// A live 2 h window of a tenant: the generation that takes samples, and the sealed one that is being cut.
export const MAX_WINDOWS: u32 = 128; // of a tenant, unless the server was told another number
export const WINDOW_BYTES: u32 = 28;
export const WINDOW_NUMBER: u32 = 0;
export const WINDOW_GENERATION: u32 = 4;
export const WINDOW_SEALED: u32 = 8; // 0 = none
export const WINDOW_PAGES: u32 = 12; // pages of closed chunks of the open generation
export const WINDOW_SEALED_PAGES: u32 = 16;
export const WINDOW_TOUCHED: u32 = 20; // 0 = the open generation holds nothing
export const WINDOW_LATE: u32 = 24; // 1 = it was late when its first sample came

// A page of closed chunks: [next | bytes | used | …], 1 KiB or a double of it up to 64 KiB.
export const PAGE_NEXT: u32 = 0;
export const PAGE_SIZE: u32 = 4;
export const PAGE_USED: u32 = 8;
export const PAGE_HEADER_BYTES: u32 = 16;

// A closed chunk: its XOR bytes begin with the count, as in a block. Times are offsets from its window's start.
export const CHUNK_PREVIOUS: u32 = 0;
export const CHUNK_WINDOW: u32 = 4;
export const CHUNK_GENERATION: u32 = 8;
export const CHUNK_COUNT: u32 = 12; // u16
export const CHUNK_LENGTH: u32 = 14; // u16
export const CHUNK_MIN_OFFSET: u32 = 16;
export const CHUNK_MAX_OFFSET: u32 = 20;
export const CHUNK_XOR: u32 = 24;

// An item: what a row has besides floats, bytes that nobody changes. Those of a class are a skip list of their own, the
// newest first: an item has links for its first levels, and then its bytes.
export const ITEM_NEXT: u32 = 0;
export const ITEM_GENERATION: u32 = 4; // its window follows from its time
export const ITEM_TIME: u32 = 8; // i64
export const ITEM_LENGTH: u32 = 16; // u16
export const ITEM_KIND: u32 = 18; // u8
export const ITEM_LINKS: u32 = 19; // u8: how many of the links below there are
export const ITEM_LINK: u32 = 20;
export const ITEM_LEVELS: u32 = 8;
export const KIND_HISTOGRAM: u32 = 1; // a protobuf Histogram, of integers
export const KIND_FLOAT_HISTOGRAM: u32 = 2;
export const KIND_EXEMPLAR: u32 = 3; // a protobuf Exemplar of remote write 1.0
export const KIND_START: u32 = 4; // start timestamp (i64) of the floats of its generation from its time on; 0 = none
export const MAX_HISTOGRAM_BYTES: u32 = 61440; // an item fits into a page
export const MAX_EXEMPLAR_BYTES: u32 = 4096;
export const MAX_EXEMPLAR_CHARACTERS: u32 = 128; // of names and values of its labels together

// The items of one class of a row.
export const CLASS_NEXT: u32 = 0; // of another class
export const CLASS_KIND: u32 = 4; // KIND_HISTOGRAM stands for both kinds of them
export const CLASS_FIRST: u32 = 8; // u32 × ITEM_LEVELS: the newest item
export const CLASS_BYTES: u32 = 40;

// What published blocks hold of a tenant's window: generations up to one, or all that was logged before a position.
export const COVERED_BYTES: u32 = 24;
export const COVERED_TENANT: u32 = 0;
export const COVERED_WINDOW: u32 = 4;
export const COVERED_GENERATION: u32 = 8;
export const COVERED_POSITION: u32 = 16; // u64

// An open chunk. PUBLISHED is one atomic word: bits of XOR in the low half, samples in the high half.
export const OPEN_LAST_TIME: u32 = 0; // i64
export const OPEN_DELTA: u32 = 8; // i64
export const OPEN_LAST_VALUE: u32 = 16; // u64
export const OPEN_PUBLISHED: u32 = 24; // u64
export const OPEN_BUFFER: u32 = 32;
export const OPEN_WINDOW: u32 = 36;
export const OPEN_GENERATION: u32 = 40;
export const OPEN_MIN_OFFSET: u32 = 44;
export const OPEN_LEADING: u32 = 48; // u8
export const OPEN_TRAILING: u32 = 49; // u8
export const OPEN_GRAINS: u32 = 50; // u8: size of the buffer
export const OPEN_BYTES: u32 = 56;

// A series. VERSION is odd while chunks are being moved; a reader that saw it change reads the row again.
export const ROW_VERSION: u32 = 0;
export const ROW_LABELS: u32 = 4; // [count | (name symbol, value symbol) × count], in canonical order
export const ROW_REF: u32 = 8; // u64
export const ROW_TENANT: u32 = 16;
export const ROW_CHUNKS: u32 = 20; // the newest closed chunk
export const ROW_OPEN: u32 = 24; // an open chunk: samples in order
export const ROW_MARK: u32 = 75; // u8, in what the open chunk leaves: MARKED = held nothing when it was looked at, DEAD = leaves
export const MARKED: u32 = 1;
export const DEAD: u32 = 2;
export const ROW_ALIASES: u32 = 76; // the first of its aliases
export const ROW_LATE: u32 = 80; // pointer to a second open chunk: samples out of order and late ones; 0 = none yet
export const ROW_HASH: u32 = 84;
export const ROW_CLASSES: u32 = 88; // its first class of items; 0 = it has only floats
export const ROW_METADATA: u32 = 92; // identity of what its sender said of the metric last; 0 = nothing
export const ROW_BYTES: u32 = 96;

// What the wire bytes of a label set stand for; or, of 2.0, the addresses of its symbols: the first byte tells, addresses are 8-aligned.
export const ALIAS_TENANT: u32 = 0;
export const ALIAS_ROW: u32 = 4;
export const ALIAS_NEXT: u32 = 8; // the alias that followed this one last time
export const ALIAS_LENGTH: u32 = 12; // NO_ALIAS: not in use
export const ALIAS_SIBLING: u32 = 16; // the next alias of the row
export const ALIAS_CONFIG: u32 = 20; // POLICY_GENERATION when it was resolved
export const ALIAS_REPLICA: u32 = 24; // who sends it, of an HA pair; 0 = none
export const ALIAS_LOOKED: u32 = 28; // HA_ROUND when a loser's row was last looked for
export const ALIAS_WIRE: u32 = 32;
export const NO_ALIAS: u32 = 4294967295;
// Instead of a row: a loser's series that is not there, and one that the policy drops. Below them lies a zero.
export const NO_ROW: u32 = 0;
export const DROPPED_ROW: u32 = 1;

// One of several senders of the same series: [elected | request | newest i64 | missing].
export const REPLICA_BYTES: u32 = 24;
export const REPLICA_ELECTED: u32 = 0; // 1 = its samples are stored
export const REPLICA_REQUEST: u32 = 4; // HA_REQUEST when it was last met
export const REPLICA_NEWEST: u32 = 8; // i64: time of the newest sample stored of it
export const REPLICA_MISSING: u32 = 16; // series of this round that it carries as a loser, and that are not there

export const WINDOW_MS: u32 = 7200000;
export const CHUNK_SAMPLES: u32 = 120;

// Frame of a WAL record: magic | length | generation | sequence u64 | crc32c.
export const FRAME_MAGIC: u32 = 4267136767; // FF 56 57 FE: no UTF-8 text has these bytes
export const FRAME_HEADER_BYTES: u32 = 24;
export const RECORD_DEFINITIONS: u32 = 1;
export const RECORD_SAMPLES: u32 = 2;
export const RECORD_SEAL: u32 = 3;
export const RECORD_CHUNKS: u32 = 4;
export const RECORD_CHECKPOINT: u32 = 5;
export const RECORD_ITEMS: u32 = 6;
export const RECORD_KEPT_ITEMS: u32 = 7;
export const RECORD_METADATA: u32 = 8;
export const RECORD_ELECTION: u32 = 9;

// Limits of a label set, which a tenant's own may only be below; over one of them the series is rejected.
export const MAX_LABELS: u32 = 128;
export const MAX_NAME_BYTES: u32 = 1024;
export const MAX_VALUE_BYTES: u32 = 16384;
export const MAX_SERIES_BYTES: u32 = 65536;

// Why samples are rejected: less than REASONS.
export const REASONS: u32 = 32;
export const REJECT_NO_NAME: u32 = 1;
export const REJECT_EMPTY_NAME: u32 = 2;
export const REJECT_DUPLICATE_LABEL: u32 = 3;
export const REJECT_NOT_UTF8: u32 = 4;
export const REJECT_TOO_MANY_LABELS: u32 = 5;
export const REJECT_NAME_TOO_LONG: u32 = 6;
export const REJECT_VALUE_TOO_LONG: u32 = 7;
export const REJECT_SERIES_TOO_LONG: u32 = 8;
export const REJECT_NEGATIVE_TIME: u32 = 9;
export const REJECT_FUTURE: u32 = 10;
export const REJECT_WINDOWS: u32 = 11;
export const REJECT_HISTOGRAM: u32 = 12;
export const REJECT_TIME_RANGE: u32 = 13;
export const REJECT_SERIES_LIMIT: u32 = 14;
export const REJECT_RELABELLED: u32 = 20; // OFFENDER_ACTUAL is the reason to refuse the relabelled labels
export const REJECT_NOT_NEEDED: u32 = 21; // only while a gap is filled: the series has a sample as new
export const REJECT_TIME_UNIT: u32 = 24;
export const REJECT_SYMBOL_REF: u32 = 15;
export const REJECT_ODD_REFS: u32 = 16;
export const REJECT_NO_SAMPLES: u32 = 17;
export const REJECT_BOTH_KINDS: u32 = 18;

export const REJECT_EXEMPLAR: u32 = 19; // counts no samples; OFFENDER_ACTUAL is one of EXEMPLAR_…

// Which rule a histogram breaks (OFFENDER_ACTUAL); where one breaks several, the first that Prometheus names.
export const RULE_TOO_LONG: u32 = 1;
export const RULE_MIXED: u32 = 2;
export const RULE_RESET_HINT: u32 = 3;
export const RULE_START: u32 = 4;
export const RULE_SCHEMA: u32 = 5;
export const RULE_BOUND_NAN: u32 = 6;
export const RULE_BOUND_ORDER: u32 = 7;
export const RULE_BOUND_INFINITE: u32 = 8;
export const RULE_SPAN_OFFSET: u32 = 9;
export const RULE_SPANS: u32 = 10;
export const RULE_BOUNDS: u32 = 11;
export const RULE_CUSTOM_ZERO_COUNT: u32 = 12;
export const RULE_CUSTOM_ZERO_THRESHOLD: u32 = 13;
export const RULE_CUSTOM_NEGATIVE_SPANS: u32 = 14;
export const RULE_CUSTOM_NEGATIVE_BUCKETS: u32 = 15;
export const RULE_NEGATIVE_BUCKET: u32 = 16;
export const RULE_NEGATIVE_ZERO_BUCKET: u32 = 17;
export const RULE_EXPONENTIAL_BOUNDS: u32 = 18;
export const RULE_COUNT_NAN: u32 = 19;
export const RULE_NEGATIVE_COUNT: u32 = 20;
export const RULE_COUNT_LOW: u32 = 21;
export const RULE_COUNT: u32 = 22;

// Why an exemplar is dropped.
export const EXEMPLAR_SERIES: u32 = 1; // its series is refused
export const EXEMPLAR_BAD_LABELS: u32 = 2;
export const EXEMPLAR_TOO_LONG: u32 = 3;
export const EXEMPLAR_NOT_UTF8: u32 = 4;
export const EXEMPLAR_TIME: u32 = 5;
export const EXEMPLAR_WINDOWS: u32 = 6;

// What is wrong with a whole request (ERROR_CODE; ERROR_AT is the byte).
export const ERROR_SNAPPY: u32 = 1;
export const ERROR_TOO_LONG: u32 = 2;
export const ERROR_VARINT: u32 = 3;
export const ERROR_LENGTH: u32 = 4;
export const ERROR_WIRE_TYPE: u32 = 5;
export const ERROR_FIELD_TYPE: u32 = 6;
export const ERROR_SERIES_COUNT: u32 = 7;
export const ERROR_VERSION: u32 = 8;
export const ERROR_SYMBOL_COUNT: u32 = 9;
export const ERROR_FIRST_SYMBOL: u32 = 10;
export const ERROR_OLDER_VERSION: u32 = 11;

// What `apply` answers.
export const APPLIED: u32 = 0;
export const APPLIED_PART: u32 = 1; // the records are full: wait for the WAL, then call again
export const OUT_OF_MEMORY: u32 = 2;

// What `replay` answers.
export const REPLAYED: u32 = 0;
export const REPLAY_DAMAGED: u32 = 1;
