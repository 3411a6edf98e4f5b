-- Joins the servers of compose.yaml into a cluster, and makes the logins of Scrip in all of them. As the superuser, in the database
-- `scrip` of the coordinator, after `create extension citus` in that database of every server.
create extension if not exists citus;
select citus_set_coordinator_host('coordinator', 5432);
select citus_add_node('worker-1', 5432);
select citus_add_node('worker-2', 5432);

-- What is done here is done on every server. The roles that hold no tables log in, too: the servers of a cluster log in to each
-- other under the role that a session has.
create role scrip_owner login createrole password 'scrip';
create role scrip_runtime login;
create role scrip_service login password 'scrip' in role scrip_runtime;
grant scrip_runtime to scrip_owner;
grant create on database scrip to scrip_owner;
revoke temporary on database scrip from public;
