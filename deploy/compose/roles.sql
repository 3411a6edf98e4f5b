-- The logins of the service and of the archiver, beside the owner `scrip`. Migrations give the roles their privileges.
create role scrip_runtime nologin;
create role scrip_service login password 'scrip' in role scrip_runtime;
create role scrip_archiver nologin;
create role scrip_archive login password 'scrip' in role scrip_runtime, scrip_archiver;
revoke temporary on database scrip from public;
