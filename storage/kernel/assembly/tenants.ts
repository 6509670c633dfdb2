/** Tenants: opaque keys, each with its own series, windows and times. They are never forgotten. */
import * as L from '../layout';
import { allocate, roomLeft } from './memory';
import { ROOM_FOR_SAMPLE } from './pieces';
import { findSymbol, intern, useSymbol } from './symbols';
import { slot, tableInsert, tableMask } from './table';

/** The tenant with this key, made if it is new; 0 if there is no room for it. */
export function findTenant(key: usize, length: usize): usize {
  if (findSymbol(key, length) === 0 && !roomLeft(ROOM_FOR_SAMPLE)) return 0;
  const symbol = intern(key, length);
  const hash = load<u32>(symbol);
  const table: usize = load<u32>(L.TENANTS);
  const mask = tableMask(table);
  let i = hash & mask;
  for (let tenant: usize = load<u32>(slot(table, i), 4); tenant !== 0; tenant = load<u32>(slot(table, i), 4)) {
    if (load<u32>(tenant, L.TENANT_KEY) === <u32>symbol) return tenant;
    i = (i + 1) & mask;
  }
  if (!roomLeft(ROOM_FOR_SAMPLE)) return 0;
  const tenant = allocate(L.TENANT_BYTES);
  store<u32>(tenant, <u32>symbol, L.TENANT_KEY);
  useSymbol(symbol);
  store<i64>(tenant, -1, L.TENANT_NEWEST);
  store<u32>(tenant, L.MAX_LABELS, L.TENANT_MAX_LABELS);
  store<u32>(tenant, L.MAX_NAME_BYTES, L.TENANT_MAX_NAME_BYTES);
  store<u32>(tenant, L.MAX_VALUE_BYTES, L.TENANT_MAX_VALUE_BYTES);
  store<u32>(tenant, L.MAX_SERIES_BYTES, L.TENANT_MAX_SERIES_BYTES);
  tableInsert(L.TENANTS, hash, <u32>tenant);
  return tenant;
}
