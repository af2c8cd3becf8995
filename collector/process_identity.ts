/** Who reports, as descriptors tell it. */

/** Host of an observer; null where it did not tell. */
export interface HostIdentity {
  readonly address: string;
  readonly hostId: string | null;
  readonly bootId: string | null;
  readonly hostName: string | null;
}

/** A process as its agent describes it, and the group of equal processes that a row is of. */
export interface ProcessIdentity {
  /** Same host, service, executable, user, control group and network namespace: same group. */
  readonly group: number;
  readonly host: HostIdentity;
  readonly flowSource: "skyfall" | "sflow";
  readonly samplingRate: number;
  readonly pid: number | null;
  readonly userId: number | null;
  readonly networkNamespace: number | null;
  readonly serviceName: string | null;
  readonly executableName: string | null;
  readonly executablePath: string | null;
  readonly commandLine: string | null;
  readonly cgroupPath: string | null;
}
