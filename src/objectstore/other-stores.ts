/** Stores that Thanos has clients for and that speak S3: what to write instead of their types. */

/** `config` of `type: S3` for each, as far as the store decides it. */
const S3_CONFIGS: Readonly<Record<string, string>> = {
  ALIYUNOSS: 'endpoint: oss-<region>.aliyuncs.com, region: oss-<region>, bucket_lookup_type: virtual-hosted',
  BOS: 'endpoint: s3.<region>.bcebos.com, region: <region>',
  COS: 'endpoint: cos.<region>.myqcloud.com, region: <region>, bucket_lookup_type: virtual-hosted',
  OBS: 'endpoint: obs.<region>.myhuaweicloud.com, region: <region>, bucket_lookup_type: virtual-hosted',
  OCI: 'endpoint: <namespace>.compat.objectstorage.<region>.oraclecloud.com, region: <region>',
  SWIFT: "endpoint: <host of the cluster's S3 API>, region: <region>",
};

export const OTHER_STORES: readonly string[] = Object.keys(S3_CONFIGS);

/** The configuration to use for a store of OTHER_STORES, for people. */
export function s3ConfigText(type: string): string {
  return `{type: S3, config: {bucket: <bucket>, ${S3_CONFIGS[type]}, access_key: <access key>, secret_key: <secret key>}}`;
}
