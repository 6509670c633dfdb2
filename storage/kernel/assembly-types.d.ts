/** What AssemblyScript calls its integer type, for ../layout.ts, which both languages read. */
type u32 = number;
