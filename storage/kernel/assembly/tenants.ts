/** Tenants: opaque keys, each with its own series, windows and times. They are few and are never forgotten. */
import * as L from '../layout';
import { allocate } from './memory';
import { intern } from './symbols';

/** The tenant with this key, made if it is new. */
export function findTenant(key: usize, length: usize): usize {
  const symbol = intern(key, length);
  for (let tenant: usize = load<u32>(L.TENANTS); tenant !== 0; tenant = load<u32>(tenant, L.TENANT_NEXT)) {
    if (load<u32>(tenant, L.TENANT_KEY) === <u32>symbol) return tenant;
  }
  const tenant = allocate(L.TENANT_BYTES);
  store<u32>(tenant, <u32>symbol, L.TENANT_KEY);
  store<i64>(tenant, -1, L.TENANT_NEWEST);
  store<u32>(tenant, load<u32>(L.TENANTS), L.TENANT_NEXT);
  atomic.store<u32>(L.TENANTS, <u32>tenant);
  return tenant;
}
