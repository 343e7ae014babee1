-- Statements that must not harm: tests/core/database/test_attacks.py runs each of them through every lock.
--
-- A line "--! KIND: TITLE" begins an attack, which goes on to the next such line.
-- KIND is "refused" (it must not even compile), "endless" (it must be stopped in time), or
-- "bounded" (it may end well or not, within the limits of time and memory).
-- The test replaces OUT (a path beside the database), DB (the database's path), COLUMNS(x)
-- (1,000 times x), PARENTHESES (5,000 pairs) and LONG (a sum of four million characters).

--! refused: insert
INSERT INTO people (name) VALUES ('Mallory')
--! refused: insert with returning
INSERT INTO people (name) VALUES ('Mallory') RETURNING id
--! refused: update
UPDATE people SET name = 'Mallory'
--! refused: update from
UPDATE people SET name = o.item FROM orders o WHERE o.person_id = people.id
--! refused: delete
DELETE FROM people
--! refused: replace
REPLACE INTO people (id, name) VALUES (1, 'Mallory')
--! refused: upsert
INSERT INTO people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'Mallory'
--! refused: delete behind WITH
WITH x AS (SELECT 1) DELETE FROM people
--! refused: insert behind WITH RECURSIVE
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 9)
INSERT INTO people (name) SELECT x FROM n
--! refused: update behind WITH
WITH x AS (SELECT 1 AS one) UPDATE people SET name = (SELECT one FROM x)
--! refused: write through a view's trigger
DELETE FROM adults
--! refused: create table
CREATE TABLE loot (x)
--! refused: create table as select
CREATE TABLE loot AS SELECT * FROM people
--! refused: create temporary table
CREATE TEMP TABLE loot AS SELECT * FROM people
--! refused: create view
CREATE VIEW loot AS SELECT * FROM people
--! refused: create temporary view
CREATE TEMP VIEW people AS SELECT 'Mallory' AS name
--! refused: create index
CREATE INDEX loot ON people (name)
--! refused: create trigger
CREATE TRIGGER loot AFTER INSERT ON people BEGIN DELETE FROM people; END
--! refused: create temporary trigger
CREATE TEMP TRIGGER loot AFTER INSERT ON people BEGIN DELETE FROM people; END
--! refused: create virtual table
CREATE VIRTUAL TABLE loot USING fts5 (x)
--! refused: create virtual table in temp
CREATE VIRTUAL TABLE temp.loot USING fts5 (x)
--! refused: drop table
DROP TABLE people
--! refused: drop view
DROP VIEW IF EXISTS adults
--! refused: drop index
DROP INDEX people_name
--! refused: drop virtual table
DROP TABLE notes
--! refused: alter table rename
ALTER TABLE people RENAME TO persons
--! refused: alter table add column
ALTER TABLE people ADD COLUMN loot
--! refused: alter table drop column
ALTER TABLE people DROP COLUMN born
--! refused: attach a new file
ATTACH DATABASE 'OUT' AS loot
--! refused: attach by URI
ATTACH 'file:OUT?mode=rwc' AS loot
--! refused: attach itself for writing
ATTACH 'file:DB?mode=rw' AS loot
--! refused: attach in memory
ATTACH ':memory:' AS loot
--! refused: detach
DETACH main
--! refused: vacuum
VACUUM
--! refused: vacuum into
VACUUM INTO 'OUT'
--! refused: vacuum into an expression
VACUUM main INTO ('O' || 'UT')
--! refused: reindex
REINDEX
--! refused: analyze
ANALYZE
--! refused: begin
BEGIN IMMEDIATE
--! refused: begin exclusive
BEGIN EXCLUSIVE
--! refused: savepoint
SAVEPOINT loot
--! refused: release
RELEASE loot
--! refused: rollback
ROLLBACK
--! refused: pragma query_only
PRAGMA query_only = OFF
--! refused: pragma journal_mode
PRAGMA journal_mode = WAL
--! refused: pragma journal_mode without a value
PRAGMA journal_mode
--! refused: pragma writable_schema
PRAGMA writable_schema = ON
--! refused: pragma user_version
PRAGMA user_version = 666
--! refused: pragma application_id
PRAGMA application_id(666)
--! refused: pragma schema_version
PRAGMA schema_version = 666
--! refused: pragma wal_checkpoint
PRAGMA wal_checkpoint(TRUNCATE)
--! refused: pragma optimize
PRAGMA optimize
--! refused: pragma incremental_vacuum
PRAGMA incremental_vacuum
--! refused: pragma temp_store_directory
PRAGMA temp_store_directory = 'OUT'
--! refused: pragma data_store_directory
PRAGMA data_store_directory = 'OUT'
--! refused: pragma hard_heap_limit
PRAGMA hard_heap_limit = 0
--! refused: pragma trusted_schema
PRAGMA trusted_schema = ON
--! refused: pragma mmap_size
PRAGMA mmap_size = 9000000000000
--! refused: pragma cache_size
PRAGMA cache_size = 2000000000
--! refused: pragma in a quoted, spaced, commented form
/**/ PRAGMA /* -- */ "main" . "user_version" = 666
--! refused: explain a write
EXPLAIN DELETE FROM people
--! refused: explain query plan of a write
EXPLAIN QUERY PLAN DELETE FROM people
--! refused: load_extension
SELECT load_extension('OUT')
--! refused: load_extension in a view of the file
SELECT * FROM loads
--! refused: load_extension with an entry point
SELECT load_extension('OUT', 'main')
--! refused: load_extension hidden in CASE
SELECT CASE WHEN 1 THEN (SELECT "load_extension"('OUT')) END FROM people
--! refused: writefile of the command-line shell
SELECT writefile('OUT', 'loot')
--! refused: readfile of the command-line shell
SELECT readfile('/etc/passwd')
--! refused: edit of the command-line shell
SELECT edit('x', 'sh')
--! refused: fsdir of the command-line shell
SELECT * FROM fsdir('/')
--! refused: csv virtual table
SELECT * FROM csv('/etc/passwd')
--! refused: fts3_tokenizer takes a pointer
SELECT fts3_tokenizer('simple', x'4141414141414141')
--! refused: fts4 optimize writes the index
SELECT optimize(letters) FROM letters
--! refused: fts5 command
INSERT INTO notes (notes) VALUES ('optimize')
--! refused: fts5 rebuild
INSERT INTO notes (notes) VALUES ('rebuild')
--! refused: fts5 shadow write
INSERT INTO notes_data (id, block) VALUES (1, x'00')
--! refused: fts5 shadow update
UPDATE notes_config SET v = 0
--! refused: fts5 shadow delete
DELETE FROM notes_content
--! refused: rtree write
INSERT INTO boxes VALUES (9, 0, 1, 0, 1)
--! refused: rtree shadow write
UPDATE boxes_node SET data = x'00'
--! refused: rtree shadow delete
DELETE FROM boxes_rowid
--! refused: schema table write
DELETE FROM sqlite_master
--! refused: schema table update
UPDATE sqlite_schema SET sql = 'x'
--! refused: sequence table write
UPDATE sqlite_sequence SET seq = 0
--! refused: dbpage write
UPDATE sqlite_dbpage SET data = zeroblob(4096)
--! refused: stacked statements
SELECT 1; DELETE FROM people
--! refused: stacked behind a comment
SELECT 1 /* ; */ ; /* */ DROP TABLE people --
--! refused: stacked behind a quoted semicolon
SELECT ';' AS ";" ; DELETE FROM people
--! refused: comment that hides the verb
-- SELECT 1
DELETE FROM people
--! refused: nested comment trick
/* /* */ DELETE FROM people -- */
--! refused: byte order mark before the verb
﻿DELETE FROM people
--! refused: no-break space before the verb
 DELETE FROM people
--! refused: full-width letters
ＤＥＬＥＴＥ FROM people
--! refused: right-to-left override
SELECT 1 ‮; DELETE FROM people
--! refused: letters of another alphabet
DЕLETE FROM people
--! refused: form feed and vertical tab
DELETEFROMpeople
--! refused: upper and lower case
dElEtE fRoM people
--! refused: the verb in a string with EXECUTE
EXECUTE IMMEDIATE 'DELETE FROM people'
--! refused: shell command
.shell rm -rf /
--! refused: shell output
.output OUT
--! refused: select into
SELECT * INTO loot FROM people
--! refused: copy to
COPY people TO 'OUT'
--! endless: endless recursion
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n
--! endless: endless recursion that keeps every row
WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n) SELECT count(*) FROM n
--! bounded: endless recursion of long rows
WITH RECURSIVE n(x) AS (SELECT 'a' UNION SELECT x || x || 'b' FROM n) SELECT max(x) FROM n
--! bounded: endless rows to the caller
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n
--! endless: recursion in order
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n ORDER BY 1 DESC) SELECT sum(x) FROM n
--! bounded: zeroblob of a gigabyte
SELECT zeroblob(1000000000)
--! bounded: zeroblob, hex
SELECT hex(zeroblob(60000000))
--! bounded: randomblob of a gigabyte
SELECT randomblob(1000000000)
--! bounded: randomblobs without end
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT randomblob(30000000) FROM n
--! bounded: many large columns in a row
SELECT COLUMNS(zeroblob(60000000))
--! bounded: one large value in many columns
SELECT COLUMNS(z) FROM (SELECT randomblob(60000000) AS z)
--! bounded: printf width
SELECT printf('%*d', 2000000000, 1)
--! bounded: printf precision
SELECT printf('%.2000000000f', 1.0)
--! bounded: printf of characters
SELECT printf('%.*c', 1000000000, 'x')
--! bounded: replace that multiplies
SELECT replace(replace(replace(printf('%.*c', 100000, 'x'), 'x', printf('%.*c', 100000, 'x')), 'x', 'yyyyyyyyyy'), 'y', 'zzzzzzzzzz')
--! bounded: group_concat without end
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT group_concat(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa') FROM n
--! endless: json_group_array without end
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT json_group_array(x) FROM n
--! bounded: json nested deeply
SELECT json_extract(replace(printf('%.*c', 200000, '['), 'x', ''), '$')
--! bounded: json array of a large text
SELECT count(*) FROM json_each('[' || replace(printf('%.*c', 200000, 'x'), 'x', '1,') || '1]') a, json_each('[' || replace(printf('%.*c', 100000, 'x'), 'x', '1,') || '1]') b
--! endless: cross join of many
SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e, orders f
--! endless: cross join with a sort
SELECT * FROM orders a, orders b, orders c, orders d ORDER BY a.item || b.item || c.item || d.item DESC
--! bounded: cross join with a group per row
SELECT a.id, b.id, c.id, d.id, count(*) FROM orders a, orders b, orders c, orders d GROUP BY 1, 2, 3, 4
--! bounded: cross join, distinct
SELECT DISTINCT a.id * 1.0 / b.id + c.id * 3.1 / d.id FROM orders a, orders b, orders c, orders d
--! endless: window over a cross join
SELECT sum(a.id) OVER (ORDER BY b.id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM orders a, orders b, orders c
--! endless: correlated subqueries
SELECT (SELECT count(*) FROM orders x, orders y WHERE x.id + y.id > a.id) FROM orders a, orders b
--! bounded: trim, one uninterruptible step
SELECT trim(printf('%.*c', 1000000, 'a'), printf('%.*c', 1000000, 'b') || 'a')
--! bounded: trim, as long as is allowed
SELECT trim(printf('%.*c', 16000, 'a'), printf('%.*c', 16000, 'b') || 'a')
--! bounded: instr, one uninterruptible step
SELECT instr(zeroblob(60000000), CAST(zeroblob(30000000) AS TEXT) || 'b')
--! bounded: instr of text
SELECT instr(printf('%.*c', 60000000, 'a'), printf('%.*c', 30000000, 'a') || 'b')
--! bounded: replace, one uninterruptible step
SELECT replace(printf('%.*c', 60000000, 'a'), printf('%.*c', 30000000, 'a') || 'b', 'c')
--! bounded: like, one uninterruptible step
SELECT printf('%.*c', 60000000, 'a') LIKE '%' || printf('%.*c', 400, 'a') || 'b%'
--! bounded: like with a long pattern
SELECT printf('%.*c', 1000000, 'a') LIKE '%' || printf('%.*c', 40000, 'a') || 'b%'
--! bounded: glob with many stars
SELECT printf('%.*c', 1000000, 'a') GLOB '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*[^a]'
--! bounded: a ladder of views, slow to compile
SELECT * FROM ladder_30
--! bounded: a ladder of common table expressions
WITH a AS (SELECT 1 AS x), b AS (SELECT p.x FROM a p, a q), c AS (SELECT p.x FROM b p, b q), d AS (SELECT p.x FROM c p, c q), e AS (SELECT p.x FROM d p, d q), f AS (SELECT p.x FROM e p, e q), g AS (SELECT p.x FROM f p, f q), h AS (SELECT p.x FROM g p, g q), i AS (SELECT p.x FROM h p, h q), j AS (SELECT p.x FROM i p, i q), k AS (SELECT p.x FROM j p, j q), l AS (SELECT p.x FROM k p, k q), m AS (SELECT p.x FROM l p, l q), n AS (SELECT p.x FROM m p, m q), o AS (SELECT p.x FROM n p, n q), p AS (SELECT p.x FROM o p, o q), q AS (SELECT p.x FROM p p, p q), r AS (SELECT p.x FROM q p, q q), s AS (SELECT p.x FROM r p, r q), t AS (SELECT p.x FROM s p, s q) SELECT count(*) FROM t
--! bounded: a ladder of compound selects
WITH a AS (SELECT 1 AS x UNION ALL SELECT 2), b AS (SELECT * FROM a UNION ALL SELECT * FROM a), c AS (SELECT * FROM b UNION ALL SELECT * FROM b), d AS (SELECT * FROM c UNION ALL SELECT * FROM c), e AS (SELECT * FROM d UNION ALL SELECT * FROM d), f AS (SELECT * FROM e UNION ALL SELECT * FROM e), g AS (SELECT * FROM f UNION ALL SELECT * FROM f), h AS (SELECT * FROM g UNION ALL SELECT * FROM g), i AS (SELECT * FROM h UNION ALL SELECT * FROM h), j AS (SELECT * FROM i UNION ALL SELECT * FROM i), k AS (SELECT * FROM j UNION ALL SELECT * FROM j), l AS (SELECT * FROM k UNION ALL SELECT * FROM k), m AS (SELECT * FROM l UNION ALL SELECT * FROM l), n AS (SELECT * FROM m UNION ALL SELECT * FROM m), o AS (SELECT * FROM n UNION ALL SELECT * FROM n) SELECT count(*) FROM o a, o b, o c
--! bounded: deep parentheses
SELECT PARENTHESES
--! bounded: a very long statement
SELECT LONG
--! endless: a view of the file that never ends
SELECT * FROM endless
--! bounded: a generated column that is huge
SELECT huge FROM generators
--! bounded: full-text query with many prefixes
SELECT count(*) FROM notes a, notes b, notes c WHERE a.notes MATCH 'a* OR b* OR c* OR d* OR e*'
--! bounded: highlight that multiplies
SELECT highlight(notes, 0, printf('%.*c', 60000000, 'x'), 'y') FROM notes WHERE notes MATCH 'a*'
--! endless: date arithmetic without end
SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT '2000-01-01' UNION ALL SELECT date(x, '+1 day') FROM n) SELECT strftime('%s', x) FROM n)
--! endless: sorting without end
WITH RECURSIVE n(x) AS (SELECT random() UNION ALL SELECT random() FROM n) SELECT x FROM n ORDER BY hex(x)
