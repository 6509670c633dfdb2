/**
 * Where everything lies in a shard's memory: the one definition that the kernel (AssemblyScript), its TypeScript
 * wrappers and the WAL writer share. Plain numbers only, so that both languages read this file.
 *
 *   0        nothing (a null pointer)
 *   64       state words, below
 *   8 KiB    CRC32C tables
 *   64 KiB   PLAN: the series of the request at work
 *   4 MiB    DEFINITIONS, then SAMPLES: the WAL records being built
 *   8 MiB    RING: framed WAL records on their way to disk
 *   24 MiB   IN: a request body as received
 *   57 MiB   RAW: the same decompressed
 *   90 MiB   SCRATCH: labels being put in order, chunks being rebuilt
 *   94 MiB   the arena: tables, symbols, rows, postings, chunks
 *
 * Pointers are u32 byte addresses, numbers little-endian. A word that readers on other threads follow is stored
 * atomically after what it leads to.
 */

// State words of the allocator (u32). FREE_* are heads of lists of free pieces, one list a size class.
export const BUMP = 64;
export const SOFT_LIMIT = 68;
export const HARD_LIMIT = 72;
export const FREE_BYTES = 76;
export const FREE_BUFFERS = 80; // 11 classes
export const FREE_PAGES = 128; // 7 classes

// Roots of the hash tables (u32): [mask u32 | count u32 | (hash u32, pointer u32) × (mask + 1)].
export const ALIASES = 192;
export const SYMBOLS = 196;
export const NAMES = 200;
export const PAIRS = 204;
export const SERIES = 208;
export const REFS = 212; // SeriesRef → row, only while the WAL is replayed
export const HASH_SEED = 216;

// Every row in the order of creation, and how many of them have the second copy of their definition in the WAL.
export const ROWS = 224; // a list
export const ROWS_DEFINED_TWICE = 240;
export const ROWS_BEFORE_REQUEST = 244;
export const NEXT_GENERATION = 248;
export const NEXT_REF = 256; // u64
export const SEQUENCE = 264; // u64, of the next WAL frame
export const WAL_GENERATION = 272;
export const LIVE_CHUNK_BYTES = 276;

// What a call reports (u32 unless said otherwise).
export const PLAN_COUNT = 320;
export const PLAN_NEXT = 324;
export const ERROR_CODE = 328;
export const ERROR_AT = 332;
export const OUT_RECEIVED = 336;
export const OUT_STORED = 340;
export const OUT_DUPLICATES = 344;
export const OUT_CONFLICTS = 348;
export const OUT_NEW_SERIES = 352;
export const OUT_EXEMPLARS = 356;
export const OUT_OFFENDERS = 360; // how many of the three below are filled
export const OUT_REJECTED = 368; // u32 × 16, by reason
export const OFFENDERS = 448; // 3 × OFFENDER_BYTES
export const OFFENDER_BYTES = 32;
export const OFFENDER_REASON = 0;
export const OFFENDER_LABELS = 4; // wire bytes of the labels
export const OFFENDER_LABELS_BYTES = 8;
export const OFFENDER_ACTUAL = 12;
export const OFFENDER_TIME = 16; // i64

// Words shared with the WAL writer, each on a cache line of its own side. Positions are bytes mod 2^32.
export const WAL_HEAD = 1024;
export const WAL_TAIL = 1088;
export const WAL_STATE = 1092; // 0 ok, 1 failing
export const WAL_STOP = 1096;
export const WAL_SYNCS = 1100;
export const WAL_SEGMENT = 1104;

export const CRC_TABLES = 8192; // 8 × 256 × u32

export const PLAN = 65536;
export const PLAN_ENTRY_BYTES = 24;
export const PLAN_LABELS = 0; // wire bytes of the labels; 0 = they are not in one piece and must be gathered
export const PLAN_LABELS_BYTES = 4;
export const PLAN_FIELDS = 8; // where the fields with samples begin; moves on as they are applied
export const PLAN_END = 12;
export const PLAN_ALIAS = 16; // 0 = unknown
export const PLAN_SAMPLES = 20;
export const MAX_SERIES_PER_REQUEST = 100000; // × 24 bytes: the plan ends before 4 MiB

export const DEFINITIONS = 4194304;
export const SAMPLES = 6291456;
export const RECORD_BYTES = 2097152; // room for a record of either kind
export const WAL_RING = 8388608;
export const WAL_RING_BYTES = 16777216;
export const IN = 25165824;
export const RAW = 59768832;
export const MAX_BODY_BYTES = 33554432; // 32 MiB, compressed or not; behind each region 1 MiB of slack
export const SCRATCH = 94371840;
export const SCRATCH_BYTES = 4194304;
export const ARENA = 98566144;

// A list: grows by segments [next u32 | capacity u32 | items], never moves. The count is published.
export const LIST_COUNT = 0;
export const LIST_FIRST = 4;
export const LIST_LAST = 8;
export const LIST_ROOM = 12;
export const SEGMENT_NEXT = 0;
export const SEGMENT_CAPACITY = 4;
export const SEGMENT_ITEMS = 8;

// A symbol is its address: [hash | length | bytes].
export const SYMBOL_LENGTH = 4;
export const SYMBOL_TEXT = 8;

// A label name of a tenant, and a name=value pair with its postings (rows in order of creation).
export const NAME_BYTES = 32;
export const NAME_TENANT = 0;
export const NAME_SYMBOL = 4;
export const NAME_NEXT = 8; // of the same tenant
export const NAME_PAIRS = 12; // a list of pairs
export const PAIR_BYTES = 24;
export const PAIR_NAME = 0;
export const PAIR_VALUE = 4; // a symbol
export const PAIR_ROWS = 8; // a list

export const TENANT_BYTES = 72;
export const TENANT_ROWS = 0; // a list
export const TENANT_NAMES = 16; // the first name
export const TENANT_KEY = 20; // a symbol
export const TENANT_NEWEST = 24; // i64: time of the newest sample, -1 if there was none
export const TENANT_SEALED_UNTIL = 32; // i64: end of the newest window ever sealed
export const TENANT_WINDOWS = 40; // how many are live
export const TENANT_WINDOW_SLOTS = 44; // MAX_WINDOWS × WINDOW_BYTES
export const TENANT_SAMPLES = 48; // u64: stored in all
export const TENANT_NEXT = 56;

// A live 2 h window of a tenant: the generation that takes samples, and the sealed one that is being cut.
export const MAX_WINDOWS = 128;
export const WINDOW_BYTES = 40;
export const WINDOW_NUMBER = 0;
export const WINDOW_GENERATION = 4;
export const WINDOW_SEALED = 8; // 0 = none
export const WINDOW_PAGES = 12; // pages of closed chunks of the open generation
export const WINDOW_SEALED_PAGES = 16;
export const WINDOW_SAMPLES = 20; // of the open generation
export const WINDOW_COVERED_GENERATION = 24; // replay: generations up to this one are in a block
export const WINDOW_COVERED_POSITION = 32; // u64; replay: samples logged up to here are in a block

// A page of closed chunks: [next | bytes | used | …].
export const PAGE_NEXT = 0;
export const PAGE_SIZE = 4;
export const PAGE_USED = 8;
export const PAGE_HEADER_BYTES = 16;

// A closed chunk: its XOR bytes begin with the count, as in a block. Times are offsets from its window's start.
export const CHUNK_PREVIOUS = 0;
export const CHUNK_WINDOW = 4;
export const CHUNK_GENERATION = 8;
export const CHUNK_COUNT = 12; // u16
export const CHUNK_LENGTH = 14; // u16
export const CHUNK_MIN_OFFSET = 16;
export const CHUNK_MAX_OFFSET = 20;
export const CHUNK_XOR = 24;

// An open chunk. PUBLISHED is one atomic word: bits of XOR in the low half, samples in the high half.
export const OPEN_LAST_TIME = 0; // i64
export const OPEN_DELTA = 8; // i64
export const OPEN_LAST_VALUE = 16; // u64
export const OPEN_PUBLISHED = 24; // u64
export const OPEN_BUFFER = 32;
export const OPEN_WINDOW = 36;
export const OPEN_GENERATION = 40;
export const OPEN_MIN_OFFSET = 44;
export const OPEN_LEADING = 48; // u8
export const OPEN_TRAILING = 49; // u8
export const OPEN_CLASS = 50; // u8: size class of the buffer
export const OPEN_BYTES = 56;

// A series. VERSION is odd while chunks are being moved; a reader that saw it change reads the row again.
export const ROW_VERSION = 0;
export const ROW_LABELS = 4; // [count | (name symbol, value symbol) × count], in canonical order
export const ROW_REF = 8; // u64
export const ROW_TENANT = 16;
export const ROW_CHUNKS = 20; // the newest closed chunk
export const ROW_OPEN = 24; // an open chunk: samples in order
export const ROW_LATE = 80; // pointer to a second open chunk: samples out of order and late ones; 0 = none yet
export const ROW_HASH = 84;
export const ROW_BYTES = 88;

// What the wire bytes of a label set stand for.
export const ALIAS_TENANT = 0;
export const ALIAS_ROW = 4;
export const ALIAS_NEXT = 8; // the alias that followed this one last time
export const ALIAS_LENGTH = 12;
export const ALIAS_WIRE = 16;

export const WINDOW_MS = 7200000;
export const CHUNK_SAMPLES = 120;

// Frame of a WAL record: magic | length | generation | sequence u64 | crc32c.
export const FRAME_MAGIC = 1279350358; // 'VVAL'
export const FRAME_HEADER_BYTES = 24;
export const RECORD_DEFINITIONS = 1;
export const RECORD_SAMPLES = 2;
export const RECORD_SEAL = 3;
export const RECORD_CHUNK = 4;

// Limits of a label set; over one of them the series is rejected.
export const MAX_LABELS = 128;
export const MAX_NAME_BYTES = 1024;
export const MAX_VALUE_BYTES = 16384;
export const MAX_SERIES_BYTES = 65536;

// Why samples are rejected.
export const REJECT_NO_NAME = 1;
export const REJECT_EMPTY_NAME = 2;
export const REJECT_DUPLICATE_LABEL = 3;
export const REJECT_NOT_UTF8 = 4;
export const REJECT_TOO_MANY_LABELS = 5;
export const REJECT_NAME_TOO_LONG = 6;
export const REJECT_VALUE_TOO_LONG = 7;
export const REJECT_SERIES_TOO_LONG = 8;
export const REJECT_NEGATIVE_TIME = 9;
export const REJECT_FUTURE = 10;
export const REJECT_WINDOWS = 11;
export const REJECT_HISTOGRAM = 12;

// What is wrong with a whole request (ERROR_CODE; ERROR_AT is the byte).
export const ERROR_SNAPPY = 1;
export const ERROR_TOO_LONG = 2;
export const ERROR_VARINT = 3;
export const ERROR_LENGTH = 4;
export const ERROR_WIRE_TYPE = 5;
export const ERROR_FIELD_TYPE = 6;
export const ERROR_SERIES_COUNT = 7;

// What `apply` answers.
export const APPLIED = 0;
export const APPLIED_PART = 1; // the records are full: wait for the WAL, then call again
export const OUT_OF_MEMORY = 2;
