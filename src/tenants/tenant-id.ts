/**
 * Who a request belongs to. Every entrance (HTTP header, path, flag) asks the one validator here, so that a name refused
 * at one door cannot come in by another. A tenant ID is a label value and a metric label, never a path.
 */

/** No valid tenant ID: `message` names the entrance and what it said. The request's fault (400). */
export class TenantError extends Error {
  override name = 'TenantError';
}

/** The request names no tenant, and has to (401). */
export class MissingTenantError extends TenantError {
  override name = 'MissingTenantError';
}

/** How a service names its tenants; plain settings, headers in any case. */
export interface TenantSettings {
  /** For requests that name no tenant, and for the path account `0`. */
  readonly defaultTenantId: string;
  /** A header that names the tenant besides X-Scope-OrgID, for Thanos' senders THANOS-TENANT. */
  readonly tenantHeader: string;
  /** Whether a request has to name its tenant. */
  readonly requireTenant: boolean;
}

/** What a request says about its tenant. */
export interface TenantFacts {
  /** As Node gives them: names in lower case, a header sent twice joined with `, ` or an array. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The decoded `<account>[:<project>]` of a VictoriaMetrics cluster path. */
  readonly account?: string | undefined;
}

const TENANT_ID = /^[A-Za-z0-9!._*'()-]{1,150}$/;
const ACCOUNT = /^([^:]*)(?::([^:]*))?$/;
const SHOWN_CHARACTERS = 40;

/** Whether `id` may name a tenant: 1 to 150 of `A-Z a-z 0-9 ! . _ * ' ( ) -`, and not `.` or `..` (as in Mimir). */
export function isTenantId(id: string): boolean {
  return TENANT_ID.test(id) && id !== '.' && id !== '..';
}

/** Returns `id` if it may name a tenant. `entrance` (a header, flag or path) is named in the TenantError otherwise. */
export function tenantId(id: string, entrance: string): string {
  if (isTenantId(id)) return id;
  throw new TenantError(
    `invalid tenant ID ${quoted(id)} in ${entrance}: 1 to 150 of A-Z a-z 0-9 ! . _ * ' ( ) - are allowed, but not "." or ".."`,
  );
}

/**
 * The tenant of a path account. As in VictoriaMetrics an account without a project is its project 0, and `0` is the
 * default tenant; `<account>:<project>` is the tenant `<account>_<project>`. Throws TenantError.
 */
export function tenantOfAccount(account: string, defaultTenantId: string): string {
  if (account === '0') return defaultTenantId;
  const parts = ACCOUNT.exec(account);
  if (parts === null)
    throw new TenantError(`invalid account ${quoted(account)} in the path: want <account>[:<project>]`);
  const [, name = '', project] = parts;
  if (project === undefined) return tenantId(name, 'the path');
  if (project !== '0') return tenantId(`${tenantId(name, 'the path')}_${tenantId(project, 'the path')}`, 'the path');
  return name === '0' ? defaultTenantId : tenantId(name, 'the path');
}

/**
 * The tenant a request belongs to: from X-Scope-OrgID, the configured header or the path account; the default tenant if
 * it names none. Throws MissingTenantError where it must name one, TenantError for an invalid ID, a header sent twice, or two entrances that disagree.
 */
export function tenantOf(facts: TenantFacts, settings: TenantSettings): string {
  let tenant: string | undefined;
  let entrance = '';
  for (const header of tenantHeaders(settings)) {
    const value = facts.headers[header.toLowerCase()];
    if (value === undefined) continue;
    if (Array.isArray(value) || value.includes(',')) throw new TenantError(`${header} was sent more than once`);
    const named = tenantId(value, header);
    if (tenant !== undefined && tenant !== named) throw disagreement(entrance, tenant, header, named);
    tenant = named;
    entrance = header;
  }
  if (facts.account === undefined) return tenant ?? defaultTenant(settings);
  const named = tenantOfAccount(facts.account, settings.defaultTenantId);
  if (tenant !== undefined && tenant !== named) throw disagreement(entrance, tenant, 'the path', named);
  return named;
}

function defaultTenant(settings: TenantSettings): string {
  if (!settings.requireTenant) return settings.defaultTenantId;
  const entrances = [...tenantHeaders(settings), 'the path /insert/<account>/prometheus'];
  throw new MissingTenantError(`no tenant (--receive.require-tenant): name it in ${entrances.join(', ')}`);
}

const SCOPE_HEADER = 'X-Scope-OrgID';

function tenantHeaders(settings: TenantSettings): readonly string[] {
  const configured = settings.tenantHeader;
  return configured.toLowerCase() === SCOPE_HEADER.toLowerCase() ? [SCOPE_HEADER] : [SCOPE_HEADER, configured];
}

function disagreement(first: string, firstTenant: string, second: string, secondTenant: string): TenantError {
  return new TenantError(`two tenants: ${first} says "${firstTenant}", ${second} says "${secondTenant}"`);
}

/** What the sender wrote, safe to show: JSON's escapes, cut. */
function quoted(text: string): string {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return `${JSON.stringify(shown)}${text.length > SHOWN_CHARACTERS ? ` (${text.length} characters)` : ''}`;
}
