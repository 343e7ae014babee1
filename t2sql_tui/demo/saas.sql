-- Plank, project planning software sold by subscription. Money is in integer cents (USD).
-- Dates are ISO text; events.occurred_at is ISO 8601 with T and Z; users.last_seen is a Unix
-- time. Awkward on purpose: roles in mixed case, industries with trailing spaces, JSON
-- in a column, columns called "group" and "interval", reseller accounts with children,
-- invoices that were never paid, trials that never became anything.

CREATE TABLE plans (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  seat_cents INTEGER NOT NULL,    -- per seat and month
  retired_on TEXT
);
INSERT INTO plans VALUES
  ('FREE', 'Free', 0, NULL), ('STD', 'Standard', 900, NULL), ('PRO', 'Professional', 1900, NULL),
  ('ENT', 'Enterprise', 3500, NULL), ('LEG', 'Early Bird', 500, '2023-06-30');

CREATE TABLE features (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  released_on TEXT                -- NULL: not released yet
);
INSERT INTO features VALUES
  (1, 'Boards', '2021-03-01'), (2, 'Timeline', '2021-09-15'), (3, 'Time tracking', '2022-04-01'),
  (4, 'Automations', '2022-11-20'), (5, 'Single sign-on', '2023-02-01'), (6, 'Audit log', '2023-05-10'),
  (7, 'Dashboards', '2023-10-05'), (8, 'Guest access', '2024-03-12'), (9, 'AI summaries', '2025-02-18'),
  (10, 'Offline mode', NULL);

CREATE TABLE plan_features (
  plan_code TEXT NOT NULL REFERENCES plans (code),
  feature_id INTEGER NOT NULL REFERENCES features (id),
  PRIMARY KEY (plan_code, feature_id)
);
INSERT INTO plan_features
SELECT code, id FROM plans JOIN features
WHERE id < 10 AND id <= CASE code WHEN 'FREE' THEN 1 WHEN 'LEG' THEN 3 WHEN 'STD' THEN 4 ELSE 9 END
  AND NOT (code = 'PRO' AND id IN (5, 6));

CREATE TABLE accounts (
  id INTEGER PRIMARY KEY,
  company TEXT NOT NULL,
  industry TEXT,
  country TEXT NOT NULL,
  parent_id INTEGER REFERENCES accounts (id),    -- the reseller that brought it
  created_on TEXT NOT NULL
);
INSERT INTO accounts
SELECT id,
       json_extract('["Acorn","Bluebird","Cobalt","Driftwood","Ember","Fathom","Gable","Halcyon","Indigo","Juniper",
         "Keystone","Lumen","Meridian","Nimbus","Otter","Paragon","Quill","Ridgeway","Summit","Tidewater"]',
         '$[' || (id * 7 % 20) || ']') || ' ' ||
       json_extract('["Labs","Media","Foods","Health","Robotics","Partners","Studios","Energy","Legal","Travel",
         "Analytics","Outfitters","Systems"]', '$[' || (id % 13) || ']'),
       CASE WHEN a % 23 > 0 THEN json_extract('["Software","Media","Retail","Healthcare","Manufacturing","Software",
         "Education","Finance","Software ","Retail","Finance "]', '$[' || (b % 11) || ']') END,
       json_extract('["United States","United States","United Kingdom","Germany","Canada","United States","Australia",
         "Netherlands","India","United States","France","Brazil"]', '$[' || (c % 12) || ']'),
       CASE WHEN id > 12 AND d % 9 = 0 THEN 1 + e % 8 END,
       date('2022-02-01', (id * 5 + f % 11) || ' days')
FROM (SELECT n - 1300 AS id, * FROM dice WHERE n BETWEEN 1301 AND 1560);

CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  full_name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  role TEXT,                      -- owner, admin, member, guest, in whatever case
  created_on TEXT NOT NULL,
  last_seen INTEGER               -- Unix time in seconds, NULL never logged in
);
INSERT INTO users (account_id, full_name, email, role, created_on, last_seen)
SELECT account_id, first || ' ' || last,
       lower(first) || '.' || lower(replace(replace(last, ' ', ''), '''', ''))
         || CASE WHEN nth > 1 THEN nth ELSE '' END || '@' || lower(replace(company, ' ', '-')) || '.example',
       CASE WHEN nth = 1 THEN CASE WHEN c % 6 = 0 THEN 'Owner' ELSE 'owner' END
            WHEN c % 27 = 0 THEN NULL
            ELSE json_extract('["member","member","Member","admin","member","guest","Admin","MEMBER","member"]',
                              '$[' || (c % 9) || ']') END,
       joined,
       CASE WHEN d % 14 > 0 THEN CAST(strftime('%s', joined) AS INTEGER)
         + CAST((strftime('%s', '2025-12-31') - strftime('%s', joined)) * (1 - (e % 1000) * (f % 1000) / 1000000.0) AS INTEGER)
         END
FROM (SELECT accounts.id AS account_id, company, nth, dice.*,
             min(date(created_on, (CASE WHEN nth = 1 THEN 0 ELSE f % 500 END) || ' days'), '2025-12-20') AS joined
      FROM accounts
      JOIN (WITH RECURSIVE k(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM k WHERE nth < 9) SELECT nth FROM k)
      JOIN dice ON n = 1600 + accounts.id * 9 + nth
      WHERE nth <= 1 + accounts.id * 31 % 9)
JOIN (SELECT n AS fn, first FROM names) ON fn = a % 64 JOIN (SELECT n AS ln, last FROM names) ON ln = b % 64
ORDER BY account_id, nth;

CREATE TABLE subscriptions (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  plan_code TEXT NOT NULL REFERENCES plans (code),
  "interval" TEXT NOT NULL,       -- month or year
  seats INTEGER NOT NULL,
  mrr_cents INTEGER NOT NULL,     -- monthly recurring revenue; a year's contract is 15 % cheaper
  started_on TEXT NOT NULL,
  cancelled_on TEXT,              -- NULL: active
  cancel_reason TEXT
);
-- Some cancel; some of those, and some of the contented, move to a larger plan.
INSERT INTO subscriptions (account_id, plan_code, "interval", seats, mrr_cents, started_on, cancelled_on, cancel_reason)
SELECT account_id, code, "interval", seats,
       seats * seat_cents * CASE "interval" WHEN 'year' THEN 85 ELSE 100 END / 100, started_on,
       CASE WHEN cancelled_on < '2025-12-31' THEN cancelled_on END,
       CASE WHEN cancelled_on < '2025-12-31' AND e % 5 > 0
            THEN CASE WHEN nth = 1 AND moves THEN 'upgrade'
                 ELSE json_extract('["too expensive","missing features","Too expensive","switched to competitor",
                                     "project ended","too expensive"]', '$[' || (e % 6) || ']') END END
FROM (SELECT *,
             CASE WHEN nth = 1 AND moves THEN date(created_on, (200 + g % 300) || ' days')
                  WHEN f % 100 < 38 - 4 * level THEN date(started_on, (45 + d % 600) || ' days') END AS cancelled_on,
             CASE WHEN nth = 1 AND level < 2 THEN 1 + a % 12 ELSE 3 + a % 45 * level END AS seats,
             CASE WHEN level > 0 AND c % 10 < 3 + level THEN 'year' ELSE 'month' END AS "interval",
             json_extract(CASE WHEN level = 1 AND started_on < '2023-06-30' AND c % 3 = 0 THEN '["FREE","LEG"]'
                               ELSE '["FREE","STD","PRO","ENT"]' END, '$[' || level || ']') AS code
      FROM (SELECT x.*, nth, dice.a, dice.c, dice.d, dice.e, dice.f,
                   min(3, CASE nth WHEN 1 THEN entry ELSE entry + 1 + dice.b % 2 END) AS level,
                   CASE nth WHEN 1 THEN date(created_on, (x.g % 30) || ' days')
                            ELSE date(created_on, (200 + x.g % 300) || ' days') END AS started_on
            FROM (SELECT accounts.id AS account_id, created_on, e AS g, a % 100 < 30 AND b % 100 < 90 AS moves,
                         CASE WHEN b % 100 < 30 THEN 0 WHEN b % 100 < 68 THEN 1 WHEN b % 100 < 90 THEN 2 ELSE 3 END AS entry
                  FROM accounts JOIN dice ON n = 4200 + accounts.id WHERE c % 100 < 94) x
            JOIN (SELECT 1 AS nth UNION SELECT 2)
            JOIN dice ON n = 4500 + account_id * 2 + nth
            WHERE nth = 1 OR moves))
JOIN plans USING (code)
WHERE started_on < '2025-12-31'
ORDER BY started_on, account_id;

CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  subscription_id INTEGER NOT NULL REFERENCES subscriptions (id),
  issued_on TEXT NOT NULL,
  due_on TEXT NOT NULL,
  paid_on TEXT,
  amount_cents INTEGER NOT NULL
);
INSERT INTO invoices (subscription_id, issued_on, due_on, paid_on, amount_cents)
WITH RECURSIVE bill(id, k, issued_on) AS (
  SELECT id, 0, started_on FROM subscriptions WHERE mrr_cents > 0
  UNION ALL
  SELECT b.id, k + 1, date(started_on, ((k + 1) * CASE "interval" WHEN 'year' THEN 12 ELSE 1 END) || ' months')
  FROM bill b JOIN subscriptions s ON s.id = b.id
  WHERE date(started_on, ((k + 1) * CASE "interval" WHEN 'year' THEN 12 ELSE 1 END) || ' months')
        < coalesce(cancelled_on, '2025-12-31')
)
SELECT s.id, b.issued_on, date(b.issued_on, '30 days'),
       CASE WHEN a % 100 < 4 OR date(b.issued_on, (e % 25 + f % 20) || ' days') > '2025-12-31' THEN NULL
            ELSE date(b.issued_on, (e % 25 + f % 20) || ' days') END,
       mrr_cents * CASE "interval" WHEN 'year' THEN 12 ELSE 1 END
FROM bill b JOIN subscriptions s ON s.id = b.id JOIN dice ON n = 5100 + (b.id * 37 + k) % 9000
ORDER BY b.issued_on, s.id;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  occurred_at TEXT NOT NULL,      -- ISO 8601, UTC
  properties TEXT                 -- JSON
);
INSERT INTO events (user_id, name, occurred_at, properties)
SELECT user_id, event, strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),
       CASE event WHEN 'task_created' THEN printf('{"board": %d, "template": %s}', 1 + d % 40,
                                                  CASE WHEN e % 4 = 0 THEN 'true' ELSE 'false' END)
                  WHEN 'export' THEN printf('{"format": "%s"}', CASE WHEN d % 3 = 0 THEN 'pdf' ELSE 'csv' END)
                  WHEN 'login' THEN printf('{"device": "%s"}', CASE WHEN d % 3 = 0 THEN 'mobile' ELSE 'web' END) END
FROM (SELECT dice.*, users.id AS user_id,
             json_extract('["login","login","task_created","task_created","task_created","comment_added","login",
               "export","board_shared","comment_added","automation_run","task_created"]', '$[' || (b % 12) || ']') AS event,
             CAST(strftime('%s', created_on) AS INTEGER)
               + CAST((last_seen - strftime('%s', created_on)) * (c % 99991) / 99991.0 AS INTEGER) AS at
      FROM dice JOIN users ON users.id = 1 + (a % 1290) * (f % 1000) / 1000 * 379 % 1290
      WHERE n BETWEEN 11001 AND 14000 AND last_seen IS NOT NULL)
ORDER BY at;

CREATE TABLE tickets (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  opened_by INTEGER REFERENCES users (id),
  "group" TEXT NOT NULL,          -- the team that answers: billing, product, technical
  priority INTEGER NOT NULL,      -- 1 urgent to 4 low
  subject TEXT,
  opened_at TEXT NOT NULL,
  closed_at TEXT,                 -- NULL: still open
  satisfaction INTEGER            -- 1 to 5, NULL not answered
);
INSERT INTO tickets (account_id, opened_by, "group", priority, subject, opened_at, closed_at, satisfaction)
SELECT account_id, CASE WHEN e % 12 > 0 THEN user_id END,
       substr('billing  product  technicaltechnical', a % 4 * 9 + 1, 9),
       CASE WHEN b % 12 = 0 THEN 1 ELSE 2 + b % 3 END,
       json_extract(json_extract('[["Invoice missing VAT number","card declined","Refund please"],
           ["Can we have dark mode?","How do I archive a board","feature request: gantt export"],
           ["Cannot log in","Sync is slow","API returns 500"],
           ["SSO setup","CANNOT LOG IN","Webhook not firing"]]', '$[' || (a % 4) || ']'), '$[' || (c % 3) || ']'),
       opened_at,
       CASE WHEN closed_at < '2025-12-31' AND f % 40 > 0 THEN closed_at END,
       CASE WHEN closed_at < '2025-12-31' AND f % 40 > 0 AND d % 5 < 2
            THEN max(1, 5 - (e % 4 = 0) - (e % 7 = 0) * 2 - (julianday(closed_at) - julianday(opened_at) > 4)) END
FROM (SELECT *, strftime('%Y-%m-%d %H:%M', opened_at, (15 + (f % 1000) * (e % 1000) / 100 * (1 + b % 3)) || ' minutes') AS closed_at
      FROM (SELECT dice.*, users.id AS user_id, account_id,
                   strftime('%Y-%m-%d %H:%M', max(created_on, '2024-01-02'),
                     CAST((julianday('2025-12-29') - julianday(max(created_on, '2024-01-02'))) * 1440 * (d % 9973) / 9973 AS INTEGER)
                     || ' minutes') AS opened_at
            FROM dice JOIN users ON users.id = 1 + (c % 1290) * (a % 1000) / 1000 * 211 % 1290
            WHERE n BETWEEN 14001 AND 14620))
ORDER BY opened_at;
UPDATE tickets SET "group" = trim("group");

CREATE VIEW active_subscriptions AS
SELECT s.id, a.company, p.name AS plan, s.seats, s.mrr_cents, s.started_on
FROM subscriptions s JOIN accounts a ON a.id = s.account_id JOIN plans p ON p.code = s.plan_code
WHERE s.cancelled_on IS NULL;
