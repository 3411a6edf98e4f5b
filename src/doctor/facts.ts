/** What the doctor knows of a database and of the host that it runs on. */

/** Settings of PostgreSQL as `show` writes them; one that the version does not have is missing. */
export type Settings = Readonly<Record<string, string>>;

/** A table that the service changes all the time. */
export type HotTable = {
  readonly name: string;
  readonly bytes: number;
  readonly rows: number;
  readonly deadRows: number;
  /** autovacuum_enabled=off in its storage parameters. */
  readonly isVacuumOff: boolean;
};

export type Facts = {
  /** How it was asked: DATABASE_URL, or that of the embedded database. */
  readonly connection: {
    readonly isEmbedded: boolean;
    readonly isLocal: boolean;
    readonly isEncrypted: boolean;
    /** sslmode=verify-full: the certificate is compared with a CA and the host. */
    readonly isVerified: boolean;
    /** What stands between: null for nothing. */
    readonly pooler: null | {
      readonly mode: 'session' | 'transaction';
      readonly hasPreparedStatements: boolean;
      /** It does not stand still in a batch of SQL statements. */
      readonly carriesBatches: boolean;
    };
  };
  readonly server: {
    /** As server_version_num: 150018. */
    readonly version: number;
    readonly isStandby: boolean;
    readonly encoding: string;
    /** The version of its sort order that indexes were built with, and the one in use; null where it has none. */
    readonly collation: { readonly built: string | null; readonly used: string | null };
    /** Of a session with nothing set. */
    readonly settings: Settings;
  };
  /** The settings of a session of the service; or why it could not have one. */
  readonly session: { readonly settings: Settings } | { readonly problem: string };
  readonly durability: {
    readonly standbys: number;
    readonly synchronousStandbys: number;
    /** The newest attempt to archive failed. */
    readonly isArchivingFailing: boolean;
    readonly slots: readonly {
      readonly name: string;
      readonly isActive: boolean;
      readonly keptBytes: number;
      readonly isLost: boolean;
    }[];
  };
  readonly vacuum: {
    readonly tables: readonly HotTable[];
    /** Transactions since the oldest that is not frozen. */
    readonly age: number;
    readonly checkpoints: { readonly timed: number; readonly requested: number };
    /** Seconds that the oldest transaction, and the oldest prepared one, have been open. */
    readonly oldestTransactionS: number;
    readonly oldestPreparedS: number;
  };
  readonly clock: {
    /** Of this host, ahead of the database. */
    readonly aheadMs: number;
    /** How exact that is. */
    readonly roundTripMs: number;
    /** What the trusted time is ahead of the database, by the heartbeat; null before the first. */
    readonly trustedAheadMs: number | null;
  };
  readonly roles: {
    readonly user: string;
    readonly isSuperuser: boolean;
    readonly isOwner: boolean;
    /** Null for never. */
    readonly passwordEndsInS: number | null;
    /** -1 for no limit: of the user and of the database. */
    readonly connectionLimits: readonly number[];
    /** Null where there is no role scrip_runtime. */
    readonly runtime: null | {
      readonly canLogin: boolean;
      /** Superuser, createrole and the like. */
      readonly powers: readonly string[];
      readonly memberOf: readonly string[];
      /** The user may take it. */
      readonly isGranted: boolean;
      readonly mayUseSchema: boolean;
      /** Tables of the service that it cannot read. */
      readonly unreadable: readonly string[];
      /** Privileges that would let it rewrite history, such as "update of entries". */
      readonly excess: readonly string[];
    };
    /** PUBLIC may create tables in the schema, and temporary ones in the database. */
    readonly publicMayCreate: boolean;
    readonly publicMayCreateTemporary: boolean;
  };
  readonly schema: {
    readonly missing: readonly string[];
    readonly unknown: readonly string[];
    /** Null before the migrations. */
    readonly plans: number | null;
    /** The newest audit; null for none. */
    readonly audit: null | { readonly ageS: number; readonly discrepancies: number };
  };
  readonly connections: {
    /** Sessions of others on the whole server. */
    readonly others: number;
  };
  readonly host: {
    /** Such as 24. */
    readonly node: number;
    /** Null where the system does not tell, as macOS. */
    readonly openFiles: number | null;
    readonly memoryBytes: number;
    /** Of the folders that the service writes to. */
    readonly disks: readonly {
      readonly path: string;
      readonly freeBytes: number;
      readonly bytes: number;
    }[];
  };
  /** What the service is told. */
  readonly config: {
    readonly replicas: number;
    readonly poolMax: number;
    readonly clockSkewMaxMs: number;
    /** The settings that sessions of the service have. */
    readonly sessionSettings: Settings;
  };
};

export type Level = 'error' | 'warning' | 'note';

export type Finding = {
  /** error: the service does not work, or may lose or change what it acknowledged. note: good to know. */
  readonly level: Level;
  readonly about: string;
  readonly problem: string;
  /** What to do. */
  readonly advice: string;
};

/** A rule finds problems in the facts. */
export type Rule = (facts: Facts) => readonly (Finding | null)[];
