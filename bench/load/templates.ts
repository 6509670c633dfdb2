/**
 * What one scrape target exposes, as templates to be repeated over many targets: a machine with node_exporter, and a
 * Kubernetes node with its pods. `%i` in a label value stands for the number of the target.
 */
import { randomNumbers } from './random-numbers.ts';

/** How a series' value moves from scrape to scrape. */
export type Movement =
  | 'constant'
  /** Grows by whole numbers, not in every scrape. */
  | 'counter'
  /** Grows by hundredths in every scrape, like a counter of seconds. */
  | 'seconds'
  /** Goes up and down by whole numbers, not in every scrape. */
  | 'gauge';

export interface TemplateSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly movement: Movement;
  readonly start: number;
}

/** The templates by the name that `--template` takes. */
export const TEMPLATES: Readonly<Record<string, () => TemplateSeries[]>> = { node: nodeTemplate, kube: kubeTemplate };

type Labels = Readonly<Record<string, string>>;

/** Collects series that share labels. */
class Template {
  readonly series: TemplateSeries[] = [];
  readonly random: () => number;
  readonly #common: Labels;

  constructor(seed: number, common: Labels) {
    this.random = randomNumbers(seed);
    this.#common = common;
  }

  add(movement: Movement, name: string, start: number, labels: Labels = {}): void {
    this.series.push({ labels: { ...this.#common, ...labels, __name__: name }, movement, start });
  }

  /** Space-separated names with a prefix; a part of them never moves, as on a real machine. */
  addAll(
    movement: Movement,
    prefix: string,
    names: string,
    scale: number,
    idleShare: number,
    labels: Labels = {},
  ): void {
    for (const name of names.split(' ')) {
      const idle = this.random() < idleShare;
      this.add(idle ? 'constant' : movement, prefix + name, idle ? 0 : Math.floor(this.random() * scale), labels);
    }
  }
}

const MEMORY = `MemTotal_bytes MemFree_bytes MemAvailable_bytes Buffers_bytes Cached_bytes SwapCached_bytes Active_bytes
 Inactive_bytes Active_anon_bytes Inactive_anon_bytes Active_file_bytes Inactive_file_bytes Unevictable_bytes Mlocked_bytes
 SwapTotal_bytes SwapFree_bytes Dirty_bytes Writeback_bytes AnonPages_bytes Mapped_bytes Shmem_bytes KReclaimable_bytes
 Slab_bytes SReclaimable_bytes SUnreclaim_bytes KernelStack_bytes PageTables_bytes NFS_Unstable_bytes Bounce_bytes
 CommitLimit_bytes Committed_AS_bytes VmallocTotal_bytes VmallocUsed_bytes Percpu_bytes AnonHugePages_bytes
 HugePages_Total HugePages_Free HugePages_Rsvd Hugepagesize_bytes DirectMap4k_bytes DirectMap2M_bytes`.replace(
  /\s+/g,
  ' ',
);
const DISK = `reads_completed_total reads_merged_total read_bytes_total writes_completed_total writes_merged_total
 written_bytes_total discards_completed_total discarded_sectors_total flush_requests_total`.replace(/\s+/g, ' ');
const NETWORK = `bytes_total packets_total errors_total drop_total fifo_total compressed_total`;
const NETSTAT = `Icmp_InErrors Icmp_InMsgs Icmp_OutMsgs Ip_Forwarding IpExt_InOctets IpExt_OutOctets TcpExt_ListenDrops
 TcpExt_ListenOverflows TcpExt_SyncookiesFailed TcpExt_TCPSynRetrans TcpExt_TCPTimeouts Tcp_ActiveOpens Tcp_CurrEstab
 Tcp_InErrs Tcp_InSegs Tcp_OutRsts Tcp_OutSegs Tcp_PassiveOpens Tcp_RetransSegs Udp_InDatagrams Udp_InErrors Udp_NoPorts
 Udp_OutDatagrams Udp_RcvbufErrors Udp_SndbufErrors`.replace(/\s+/g, ' ');
const COLLECTORS = `arp bcache bonding btrfs conntrack cpu cpufreq diskstats dmi edac entropy fibrechannel filefd
 filesystem hwmon infiniband ipvs loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os powersupply pressure
 rapl schedstat selinux sockstat softnet stat tapestats textfile thermal_zone time timex udp_queues uname vmstat xfs
 zfs`.replace(/\s+/g, ' ');
const GO =
  `goroutines threads memstats_alloc_bytes memstats_heap_alloc_bytes memstats_heap_idle_bytes memstats_heap_inuse_bytes
 memstats_heap_objects memstats_heap_released_bytes memstats_heap_sys_bytes memstats_next_gc_bytes memstats_stack_inuse_bytes
 memstats_sys_bytes`.replace(/\s+/g, ' ');

/** A machine with 8 CPUs, 4 disks and 5 network devices: some 500 series. */
function nodeTemplate(): TemplateSeries[] {
  const out = new Template(11, { instance: 'host-%i.eu-central-1.example.com:9100', job: 'node-exporter' });
  for (let cpu = 0; cpu < 8; cpu++) {
    for (const mode of 'idle iowait irq nice softirq steal system user'.split(' ')) {
      const idle = mode === 'irq' || mode === 'steal';
      const start = idle ? 0 : Math.round(out.random() * 1e7) / 100;
      out.add(idle ? 'constant' : 'seconds', 'node_cpu_seconds_total', start, { cpu: `${cpu}`, mode });
    }
    out.addAll('counter', 'node_softnet_', 'processed_total dropped_total times_squeezed_total', 1e8, 0.5, {
      cpu: `${cpu}`,
    });
  }
  out.addAll('gauge', 'node_memory_', MEMORY, 2 ** 34, 0.3);
  for (const device of ['nvme0n1', 'nvme1n1', 'dm-0', 'sda']) {
    out.addAll('counter', 'node_disk_', DISK, 2 ** 36, 0.35, { device });
    for (const name of ['read', 'write', 'io', 'io_weighted', 'discard', 'flush_requests']) {
      out.add('seconds', `node_disk_${name}_time_seconds_total`, Math.round(out.random() * 1e6) / 1e3, { device });
    }
  }
  for (const mountpoint of ['/', '/boot', '/boot/efi', '/run', '/run/lock', '/var', '/var/lib/containers', '/srv']) {
    const labels = { device: `/dev/mapper/vg-${mountpoint.replaceAll('/', '_')}`, fstype: 'ext4', mountpoint };
    out.addAll('gauge', 'node_filesystem_', 'avail_bytes free_bytes files_free', 2 ** 38, 0.4, labels);
    out.addAll('constant', 'node_filesystem_', 'size_bytes files readonly device_error', 2 ** 38, 0.5, labels);
  }
  for (const device of ['eth0', 'eth1', 'lo', 'docker0', 'veth3f2a9b1']) {
    for (const way of ['receive', 'transmit'])
      out.addAll('counter', `node_network_${way}_`, NETWORK, 2 ** 38, 0.6, { device });
    const constants = 'up mtu_bytes speed_bytes carrier iface_id flags net_dev_group';
    out.addAll('constant', 'node_network_', constants, 1500, 0.3, { device });
  }
  out.addAll('counter', 'node_netstat_', NETSTAT, 1e9, 0.4);
  out.addAll('counter', 'node_vmstat_', 'pgfault pgmajfault pgpgin pgpgout pswpin pswpout oom_kill', 1e10, 0.3);
  out.addAll(
    'gauge',
    'node_sockstat_',
    'TCP_alloc TCP_inuse TCP_mem TCP_orphan TCP_tw UDP_inuse sockets_used',
    3e3,
    0.2,
  );
  out.addAll('gauge', 'node_load', '1 5 15', 8, 0);
  for (const resource of ['cpu_waiting', 'io_waiting', 'io_stalled', 'memory_waiting', 'memory_stalled']) {
    out.add('seconds', `node_pressure_${resource}_seconds_total`, Math.round(out.random() * 1e6) / 1e3);
  }
  for (const collector of COLLECTORS.split(' ')) {
    out.add('seconds', 'node_scrape_collector_duration_seconds', out.random() / 100, { collector });
    out.add('constant', 'node_scrape_collector_success', 1, { collector });
  }
  out.addAll('counter', 'node_', 'context_switches_total forks_total intr_total', 1e10, 0);
  out.addAll('gauge', 'node_', 'procs_running procs_blocked entropy_available_bits filefd_allocated', 4e3, 0);
  out.addAll('gauge', 'go_', GO, 2 ** 24, 0.1);
  out.add('constant', 'node_uname_info', 1, { machine: 'x86_64', nodename: 'host-%i', release: '6.1.0-28-amd64' });
  out.addAll('constant', '', 'node_boot_time_seconds process_start_time_seconds up scrape_samples_scraped', 1.7e9, 0);
  return out.series;
}

const APPS = ['checkout-service', 'payment-gateway', 'search-indexer', 'user-profile-api', 'coredns', 'ingress-nginx'];
const LE = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'];

/** A Kubernetes node with 20 pods: long label values, and more than ten labels on many series. */
function kubeTemplate(): TemplateSeries[] {
  // What a Prometheus adds to all that it sends.
  const out = new Template(13, { cluster: 'prod-eu-1', prometheus: 'monitoring/k8s', region: 'eu-central-1' });
  const hex = (length: number): string =>
    Array.from({ length }, () => '0123456789abcdef'[Math.floor(out.random() * 16)]).join('');
  const instance = 'ip-10-42-%i.eu-central-1.compute.internal:10250';
  for (let index = 0; index < 20; index++) {
    const app = APPS[index % APPS.length] as string;
    const uid = `${hex(8)}-${hex(4)}-${hex(4)}-${hex(12)}-%i`;
    const pod = `${app}-${hex(9)}-%i-${hex(5)}`;
    const namespace = `team-${index % 4}-production`;
    addContainer(out, {
      container: app,
      id: `/kubepods/burstable/pod${uid}/${hex(64)}`,
      image: `registry.example.com/${app}@sha256:${hex(64)}`,
      instance,
      job: 'kubelet',
      metrics_path: '/metrics/cadvisor',
      name: hex(64),
      namespace,
      pod,
    });
    const identity = { container: app, instance, job: 'kube-state-metrics', namespace, pod, uid };
    addPodState(out, identity, hex);
    addRequests(out, { ...identity, code: '200', handler: `/api/v2/${app}/{id}`, job: app, method: 'GET' });
  }
  return out.series;
}

function addContainer(out: Template, labels: Labels): void {
  for (const mode of ['usage', 'user', 'system']) {
    out.add('seconds', `container_cpu_${mode}_seconds_total`, Math.round(out.random() * 1e7) / 100, {
      ...labels,
      cpu: 'total',
    });
  }
  out.addAll('gauge', 'container_memory_', 'working_set_bytes rss cache usage_bytes', 2 ** 30, 0, labels);
  const network = 'receive_bytes_total transmit_bytes_total receive_packets_total transmit_packets_total';
  out.addAll('counter', 'container_network_', network, 2 ** 34, 0, { ...labels, interface: 'eth0' });
  out.addAll('counter', 'container_cpu_cfs_', 'periods_total throttled_periods_total', 1e6, 0.3, labels);
}

function addPodState(out: Template, identity: Labels, hex: (length: number) => string): void {
  for (const phase of ['Failed', 'Pending', 'Running', 'Succeeded', 'Unknown']) {
    out.add('constant', 'kube_pod_status_phase', phase === 'Running' ? 1 : 0, { ...identity, phase });
  }
  const podLabels = ['app', 'chart', 'component', 'cost_center', 'heritage', 'release', 'team', 'tier', 'version'];
  out.add('constant', 'kube_pod_labels', 1, {
    ...identity,
    ...Object.fromEntries(podLabels.map((name) => [`label_${name}`, hex(10)])),
  });
  out.add('constant', 'kube_pod_info', 1, {
    ...identity,
    host_ip: '10.42.0.%i',
    node: 'ip-10-42-%i',
    priority_class: 'high',
  });
  for (const resource of ['cpu', 'memory']) {
    for (const bound of ['requests', 'limits']) {
      out.add('constant', `kube_pod_container_resource_${bound}`, 2, { ...identity, resource, unit: resource });
    }
  }
  out.add('constant', 'kube_pod_container_status_restarts_total', 1, identity);
}

function addRequests(out: Template, labels: Labels): void {
  for (const le of LE) {
    out.add('counter', 'http_request_duration_seconds_bucket', Math.floor(out.random() * 1e6), { ...labels, le });
  }
  out.add('seconds', 'http_request_duration_seconds_sum', Math.round(out.random() * 1e7) / 100, labels);
  out.add('counter', 'http_request_duration_seconds_count', Math.floor(out.random() * 1e6), labels);
}
