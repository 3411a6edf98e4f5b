-- The login of the service, beside the owner `scrip`. The first migration gives the role its privileges.
create role scrip_runtime nologin;
create role scrip_service login password 'scrip' in role scrip_runtime;
revoke temporary on database scrip from public;
