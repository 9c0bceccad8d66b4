#!/bin/sh
# Run by the PostgreSQL image when it makes its files: ordinary roles, each the owner of one database and of nothing else.
# No -u: the image reads this file into its own shell where it may not be executed.
set -e
psql -v ON_ERROR_STOP=1 -v stepcast="${STEPCAST_DB_PASSWORD:?}" -v registry="${REGISTRY_DB_PASSWORD:?}" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE stepcast LOGIN PASSWORD :'stepcast';
CREATE ROLE registry LOGIN PASSWORD :'registry';
CREATE DATABASE stepcast OWNER stepcast TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';
CREATE DATABASE registry OWNER registry;
REVOKE CONNECT ON DATABASE postgres, stepcast, registry FROM PUBLIC;
SQL
