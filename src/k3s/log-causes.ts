/** What a line of k3s's log most likely means, and whether waiting on can help. */
export interface LogCause {
  readonly line: RegExp;
  readonly cause: string;
  /** k3s will say the same again however long one waits. */
  readonly final: boolean;
}

/** Lines as k3s writes them. @see the k3s and k3s-ansible issue threads named beside each */
export const logCauses: readonly LogCause[] = [
  {
    line: /bootstrap data already found and encrypted with different token/,
    cause: 'the token differs from the one that the cluster was made with (k3s-ansible #490)',
    final: true,
  },
  {
    line: /password authentication failed|Access denied for user|invalid user ID or password/i,
    cause: 'the database refuses the user, or the password, that datastore-endpoint names',
    final: true,
  },
  {
    line: /creating storage endpoint/,
    cause: 'the database that datastore-endpoint names does not answer, or not as k3s needs it',
    final: false,
  },
  {
    line: /Node password rejected|duplicate hostname/i,
    cause:
      'another node has this host name, or it is the same machine set up anew: delete its Node (kubectl delete node NAME), or give it a name of its own',
    final: false,
  },
  {
    line: /duplicate node name found/,
    cause:
      'a Node of this name is still an etcd member: delete the stale Node (kubectl delete node NAME), then run again',
    final: true,
  },
  {
    line: /flag provided but not defined|invalid configuration|unable to parse|yaml:/i,
    cause:
      'k3s does not understand its config or arguments: see server_config_yaml, agent_config_yaml, extra_server_args, extra_agent_args',
    final: true,
  },
  {
    line: /certificate has expired or is not yet valid|certificate is not valid yet|current time .* is (?:before|after)/i,
    cause:
      'the clock of one of the two is wrong (fleet check compares them), or the certificates have ended (fleet certs)',
    final: false,
  },
  {
    line: /bind: address already in use/i,
    cause: 'a port that k3s needs is taken by another program: fleet check names it',
    // After a kill the one before may hold it for a moment.
    final: false,
  },
  {
    line: /failed to find memory cgroup/i,
    cause:
      'the kernel has no memory cgroups: set allow_reboot: true, or add cgroup_enable=memory to its command line',
    final: true,
  },
  {
    line: /no default routes? found/i,
    cause: 'the host has no default route to take its address from: set node_ip and flannel_iface',
    final: true,
  },
  {
    line: /running with swap on is not supported/i,
    cause: 'swap is on: set swap: off, or swap: limited',
    final: true,
  },
  {
    line: /(CA hash|certificate signed by unknown authority|x509|token CA hash does not match)/i,
    cause:
      'the server has another CA than the token names: the token is from another cluster, or the address leads to another one',
    final: false,
  },
  {
    line: /(not authorized|401 Unauthorized|invalid token)/i,
    cause: 'the token is wrong',
    final: false,
  },
  {
    line: /Failed to validate connection to cluster/,
    cause:
      'the API of the cluster is not reached, or refuses the token: check api_endpoint, the firewall for its port, and the token',
    final: false,
  },
  {
    line: /too many learner members/,
    cause: 'another server is joining at the same time; etcd takes one at a time',
    final: false,
  },
  {
    line: /connection refused|i\/o timeout|no route to host/i,
    cause: 'the other side does not answer: check addresses, firewalls, and that the servers run',
    final: false,
  },
  { line: /no space left on device/i, cause: 'the disk is full', final: true },
];

/** The cause that a log line points to. */
export function causeOf(line: string): LogCause | undefined {
  return logCauses.find((known) => known.line.test(line));
}
