-- Harbour Mutual, a small retail bank. Money is REAL, in the account's currency, signed:
-- deposits positive, withdrawals negative. Dates are ISO text, except loans.start_date,
-- which is DD/MM/YYYY as an older system wrote it. Awkward on purpose: codes to look up,
-- counterparties in mixed case and with trailing spaces, a table with a space in its name,
-- a column called "type", joint accounts, clients without a rating.

CREATE TABLE branches (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT NOT NULL,
  opened_on TEXT NOT NULL,
  closed_on TEXT
);
INSERT INTO branches VALUES
  (1, 'Harbour Square', 'Portsmouth', '1974-05-02', NULL),
  (2, 'Castle Street', 'Bristol', '1981-09-14', NULL),
  (3, 'Quayside', 'Newcastle', '1988-03-21', NULL),
  (4, 'Kirkgate', 'Leeds', '1990-11-05', NULL),
  (5, 'Old Town', 'Edinburgh', '1996-06-17', NULL),
  (6, 'Mumbles Road', 'Swansea', '2003-02-10', '2024-06-28'),
  (7, 'Deansgate', 'Manchester', '2009-10-01', NULL),
  (8, 'Digital Branch', 'Leeds', '2019-01-15', NULL);

CREATE TABLE employees (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  job_title TEXT NOT NULL,
  branch_id INTEGER REFERENCES branches (id),    -- NULL: head office
  manager_id INTEGER REFERENCES employees (id),
  salary REAL NOT NULL,
  hired_on TEXT NOT NULL
);
INSERT INTO employees
SELECT id, (SELECT first FROM names WHERE n = a % 64) || ' ' || (SELECT last FROM names WHERE n = b % 64),
       CASE WHEN id = 1 THEN 'Chief Executive' WHEN id <= 9 THEN 'Branch Manager'
            WHEN id <= 25 THEN 'Loan Officer' WHEN id <= 55 THEN 'Teller'
            WHEN id <= 62 THEN 'Analyst' ELSE 'Adviser' END,
       CASE WHEN id = 1 OR id BETWEEN 56 AND 62 THEN NULL WHEN id <= 9 THEN id - 1
            ELSE 1 + id % 8 END,
       CASE WHEN id = 1 THEN NULL WHEN id <= 9 OR id BETWEEN 56 AND 62 THEN 1
            ELSE 2 + id % 8 END,
       CASE WHEN id = 1 THEN 184000.0 WHEN id <= 9 THEN 61000.0 + c % 90 * 100
            WHEN id <= 25 THEN 42000.0 + c % 80 * 100 WHEN id <= 55 THEN 25500.0 + c % 60 * 100
            ELSE 38000.0 + c % 140 * 100 END,
       date('2004-03-01', (d % 7700) || ' days')
FROM (SELECT n - 300 AS id, * FROM dice WHERE n BETWEEN 301 AND 380);

CREATE TABLE clients (
  id INTEGER PRIMARY KEY,
  full_name TEXT NOT NULL,
  birth_date TEXT,                -- NULL for businesses
  client_type TEXT NOT NULL,      -- P private, B business
  city TEXT NOT NULL,
  risk_rating TEXT,               -- A (best) to E, NULL not rated yet
  joined_on TEXT NOT NULL
);
INSERT INTO clients
SELECT id,
       CASE WHEN business THEN
         json_extract('["Tern","Lowland","Granite","Blue Anchor","Foxglove","Hollins","Beacon","Pennine",
           "Sable","Orchard","Northgate","Wren","Kestrel","Millbrook","Silverdale"]', '$[' || (id % 15) || ']')
         || json_extract('[" Bakery"," Logistics"," Joinery"," Consulting"," Brewing"," Dental"," Motors"]',
                         '$[' || (id / 15 % 7) || ']')
         || CASE WHEN c % 3 = 0 THEN ' LLP' ELSE ' Ltd' END
       ELSE (SELECT first FROM names WHERE n = a % 64) || ' ' || (SELECT last FROM names WHERE n = b % 64) END,
       CASE WHEN NOT business THEN date('2006-12-01', (-c % 21000) || ' days') END,
       CASE WHEN business THEN 'B' ELSE 'P' END,
       json_extract('["Portsmouth","Bristol","Newcastle","Leeds","Edinburgh","Swansea","Manchester",
         "Leeds","London","Bristol","York","Manchester"]', '$[' || (d % 12) || ']'),
       CASE WHEN f % 9 = 0 THEN NULL ELSE substr('AAABBBBBCCCCDDE', 1 + f % 15, 1) END,
       date('2009-01-05', (id * 14 + e % 9) || ' days')
FROM (SELECT n - 2000 AS id, n % 7 = 3 AS business, * FROM dice WHERE n BETWEEN 2001 AND 2420);

CREATE TABLE account_types (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  interest_rate REAL              -- percent a year, NULL where none is paid
);
INSERT INTO account_types VALUES
  ('CUR', 'Current account', NULL), ('SAV', 'Savings account', 2.35), ('ISA', 'Cash ISA', 3.1),
  ('BUS', 'Business account', NULL), ('FX', 'Foreign currency account', 0.4);

CREATE TABLE accounts (
  id INTEGER PRIMARY KEY,
  iban TEXT NOT NULL UNIQUE,
  type_code TEXT NOT NULL REFERENCES account_types (code),
  branch_id INTEGER NOT NULL REFERENCES branches (id),
  currency TEXT NOT NULL DEFAULT 'GBP',
  balance REAL NOT NULL,
  opened_on TEXT NOT NULL,
  closed_on TEXT
);
INSERT INTO accounts
SELECT n - 3000, printf('GB%02d HMUT %04d %04d', 10 + a % 89, b % 10000, n),
       kind,
       CASE WHEN c % 5 = 0 THEN 8 ELSE 1 + c % 7 END,
       CASE WHEN kind <> 'FX' THEN 'GBP' WHEN d % 5 < 3 THEN 'EUR' ELSE 'USD' END,
       0,
       date('2012-01-09', ((n - 3000) * 8 + d % 60) || ' days'),
       CASE WHEN e % 14 = 0 THEN date('2024-02-01', (d % 600) || ' days') END
FROM (SELECT *, CASE WHEN (n - 3001) % 420 % 7 = 2 THEN 'BUS' WHEN n <= 3420 THEN 'CUR'
                     WHEN f % 10 < 5 THEN 'SAV' WHEN f % 10 < 8 THEN 'ISA' ELSE 'FX' END AS kind
      FROM dice WHERE n BETWEEN 3001 AND 3580);

CREATE TABLE account_holders (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  client_id INTEGER NOT NULL REFERENCES clients (id),
  role TEXT NOT NULL,             -- owner, joint, signatory
  PRIMARY KEY (account_id, client_id)
) WITHOUT ROWID;
INSERT INTO account_holders
SELECT id, 1 + (id - 1) % 415, 'owner' FROM accounts;
INSERT OR IGNORE INTO account_holders
SELECT id, 1 + b % 415, CASE WHEN type_code = 'BUS' THEN 'signatory' ELSE 'joint' END
FROM accounts JOIN dice ON n = 4000 + id WHERE a % 4 = 0;

CREATE TABLE categories (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  parent_code TEXT REFERENCES categories (code)
);
INSERT INTO categories VALUES
  ('INC', 'Income', NULL), ('SAL', 'Salary', 'INC'), ('SLS', 'Sales receipts', 'INC'),
  ('LIV', 'Living costs', NULL), ('GRO', 'Groceries', 'LIV'), ('RNT', 'Rent', 'LIV'),
  ('UTL', 'Utilities', 'LIV'), ('TRN', 'Transport', 'LIV'), ('LEI', 'Leisure', NULL),
  ('RST', 'Restaurants', 'LEI'), ('TRV', 'Travel', 'LEI'), ('FEE', 'Bank fees', NULL);

CREATE TABLE transactions (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  booked_on TEXT NOT NULL,
  "type" TEXT NOT NULL,           -- credit or debit
  amount REAL NOT NULL,
  category_code TEXT REFERENCES categories (code),   -- NULL: not categorised
  counterparty TEXT
);
INSERT INTO transactions (account_id, booked_on, "type", amount, category_code, counterparty)
SELECT account_id, booked_on, CASE WHEN amount > 0 THEN 'credit' ELSE 'debit' END, amount,
       CASE WHEN f % 19 > 0 THEN category END,
       CASE category WHEN 'SAL' THEN 'Payroll' WHEN 'FEE' THEN 'Harbour Mutual' WHEN 'SLS' THEN 'Card receipts'
         ELSE CASE f % 11 WHEN 0 THEN upper(payee) WHEN 1 THEN payee || '  ' WHEN 2 THEN lower(payee)
              ELSE payee END END
FROM (SELECT *, round(CASE category WHEN 'SAL' THEN 1650 + account_id % 40 * 55
           WHEN 'SLS' THEN 400 + e % 5200 WHEN 'RNT' THEN -(620 + account_id % 30 * 20)
           WHEN 'TRV' THEN -(80 + e % 900) WHEN 'FEE' THEN -(5 + e % 4 * 5)
           ELSE -(4 + e % 116) END
         - CASE WHEN category IN ('SAL', 'RNT', 'FEE') THEN 0 ELSE d % 100 / 100.0 END, 2) AS amount,
       json_extract(CASE category
         WHEN 'GRO' THEN '["Tesco","Sainsbury''s","Lidl","Co-op","Waitrose"]'
         WHEN 'RNT' THEN '["Marlowe Lettings","City Homes","Marlowe Lettings","Rightway Homes","City Homes"]'
         WHEN 'UTL' THEN '["Octopus Energy","Thames Water","BT","Octopus Energy","Vodafone"]'
         WHEN 'TRN' THEN '["Trainline","Shell","Uber","National Express","TfL"]'
         WHEN 'RST' THEN '["Pizza Express","The Crown","Wagamama","Costa Coffee","Dishoom"]'
         ELSE '["easyJet","Airbnb","Ryanair","Booking.com","Eurostar"]' END, '$[' || (e % 5) || ']') AS payee
  FROM (SELECT dice.*, id AS account_id,
           date('2024-01-01', CAST(730 * (b % 9973) / 9973 AS INTEGER) || ' days') AS booked_on,
           CASE WHEN type_code = 'BUS' THEN substr('SLSSLSSLSSLSUTLTRVTRNFEE', c % 8 * 3 + 1, 3)
                WHEN type_code = 'CUR' THEN
                  substr('SALSALSALGROGROGROGROGROUTLUTLTRNTRNRSTRSTTRVRNTFEERNT', c % 18 * 3 + 1, 3)
                ELSE substr('SALTRVSALFEE', c % 4 * 3 + 1, 3) END AS category
        FROM dice JOIN accounts ON id = 1 + CASE WHEN d % 5 < 4 THEN a % 420 ELSE a % 560 END
        WHERE n BETWEEN 5001 AND 8600))
WHERE account_id IN (SELECT id FROM accounts WHERE closed_on IS NULL OR booked_on < closed_on)
ORDER BY booked_on, account_id;
UPDATE accounts SET balance = CASE WHEN closed_on IS NOT NULL THEN 0 ELSE
  round((SELECT CASE WHEN type_code = 'CUR' THEN a % 3000 ELSE b % 45000 END + c % 100 / 100.0
         FROM dice WHERE n = 9000 + id)
        + CASE WHEN id % 12 = 5 THEN -2100 ELSE 0 END, 2) END;

CREATE TABLE loans (
  id INTEGER PRIMARY KEY,
  client_id INTEGER NOT NULL REFERENCES clients (id),
  officer_id INTEGER REFERENCES employees (id),
  purpose TEXT,
  principal REAL NOT NULL,
  interest_rate REAL NOT NULL,    -- percent a year
  term_months INTEGER NOT NULL,
  start_date TEXT NOT NULL,       -- DD/MM/YYYY
  status TEXT NOT NULL            -- active, repaid, defaulted
);
INSERT INTO loans
SELECT n - 10000, client_id, CASE WHEN f % 21 > 0 THEN 10 + f % 16 END,
       CASE WHEN e % 13 > 0 THEN json_extract('["home improvement","car","debt consolidation","car","wedding",
         "education","equipment"]', '$[' || (e % 7) || ']') END,
       2500.0 + (b % 95) * (c % 100) / 100 * 500,
       round(4.4 + (SELECT coalesce(instr('ABCDE', risk_rating), 3) FROM clients WHERE id = client_id) * 0.9
             + d % 12 / 10.0, 2),
       12 * (1 + c % 6),
       strftime('%d/%m/%Y', '2019-02-01', ((n - 10000) * 15) || ' days'),
       CASE WHEN d % 100 < (SELECT 3 * coalesce(instr('ABCDE', risk_rating), 3) FROM clients WHERE id = client_id)
            THEN 'defaulted' WHEN n - 10000 < 70 AND c % 6 < 4 THEN 'repaid' ELSE 'active' END
FROM (SELECT 1 + a % 405 AS client_id, * FROM dice WHERE n BETWEEN 10001 AND 10160);

CREATE TABLE loan_payments (
  loan_id INTEGER NOT NULL REFERENCES loans (id),
  due_on TEXT NOT NULL,
  amount REAL NOT NULL,
  paid_on TEXT,                   -- NULL: still owed
  PRIMARY KEY (loan_id, due_on)
);
-- Equal instalments; only the first eight of every loan were carried over.
INSERT INTO loan_payments
WITH RECURSIVE month(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM month WHERE k < 8)
SELECT id, due, round(principal * (1 + interest_rate / 100) / term_months, 2),
       CASE WHEN status = 'defaulted' AND k > 4 THEN NULL
            ELSE date(due, CASE WHEN a % 100 < 12 THEN 3 + b % 40 ELSE -(b % 4) END || ' days') END
FROM (SELECT *, date(substr(start_date, 7) || '-' || substr(start_date, 4, 2) || '-' || substr(start_date, 1, 2),
                     k || ' months') AS due
      FROM loans JOIN month)
JOIN dice ON n = 10500 + id * 8 + k
WHERE due <= '2025-12-31';

CREATE TABLE "exchange rates" (
  currency TEXT NOT NULL,
  valid_from TEXT NOT NULL,       -- first day of the month
  "pounds per unit" REAL NOT NULL,
  PRIMARY KEY (currency, valid_from)
);
INSERT INTO "exchange rates"
SELECT currency, date('2024-01-01', (n - 12001) || ' months'),
       round(CASE currency WHEN 'EUR' THEN 0.835 + a % 30 / 1000.0 ELSE 0.752 + b % 45 / 1000.0 END, 4)
FROM dice JOIN (SELECT 'EUR' AS currency UNION SELECT 'USD') WHERE n BETWEEN 12001 AND 12024
ORDER BY 1, 2;

CREATE VIEW client_balances AS
SELECT c.id AS client_id, c.full_name, count(*) AS accounts, round(sum(a.balance), 2) AS balance
FROM clients c JOIN account_holders h ON h.client_id = c.id AND h.role = 'owner'
JOIN accounts a ON a.id = h.account_id AND a.closed_on IS NULL AND a.currency = 'GBP'
GROUP BY c.id;
