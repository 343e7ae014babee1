-- Marlow's, a chain of ten home and hardware stores. Money is REAL (USD). Dates are ISO
-- text, sales to the minute, except promotions, which are MM/DD/YYYY as the marketing
-- spreadsheet had them. Awkward on purpose: a table called "sale lines", a column called
-- "transaction", cities of loyalty members in mixed case with trailing spaces, products
-- without a cost, stock that was never counted, a store that has closed.

CREATE TABLE regions (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL
);
INSERT INTO regions VALUES ('NE', 'Northeast'), ('MW', 'Midwest'), ('SO', 'South'), ('WE', 'West');

CREATE TABLE stores (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT NOT NULL,
  state TEXT NOT NULL,
  region_code TEXT NOT NULL REFERENCES regions (code),
  square_feet INTEGER,
  opened_on TEXT NOT NULL,
  closed_on TEXT
);
INSERT INTO stores VALUES
  (1, 'Elm Street', 'Albany', 'NY', 'NE', 18500, '2003-04-12', NULL),
  (2, 'Harborview', 'Portland', 'ME', 'NE', 14200, '2007-09-01', NULL),
  (3, 'Lakeside', 'Chicago', 'IL', 'MW', 31000, '2009-03-20', NULL),
  (4, 'Union Mills', 'Columbus', 'OH', 'MW', 22750, '2011-05-07', NULL),
  (5, 'Peachtree', 'Atlanta', 'GA', 'SO', 26400, '2012-10-19', NULL),
  (6, 'Riverwalk', 'San Antonio', 'TX', 'SO', 24800, '2014-02-28', NULL),
  (7, 'Music Row', 'Nashville', 'TN', 'SO', NULL, '2016-06-11', NULL),
  (8, 'Rose Quarter', 'Portland', 'OR', 'WE', 19900, '2017-08-26', NULL),
  (9, 'Foothills', 'Boise', 'ID', 'WE', 16100, '2019-11-02', '2025-06-30'),
  (10, 'Mesa Verde', 'Denver', 'CO', 'WE', 28300, '2022-03-15', NULL);

CREATE TABLE employees (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  store_id INTEGER NOT NULL REFERENCES stores (id),
  position TEXT NOT NULL,
  reports_to INTEGER REFERENCES employees (id),
  hourly_wage REAL NOT NULL,
  hired_on TEXT NOT NULL
);
INSERT INTO employees
SELECT id, (SELECT first FROM names WHERE n = a % 64) || ' ' || (SELECT last FROM names WHERE n = b % 64),
       1 + (id - 1) % 10,
       CASE WHEN id <= 10 THEN 'Manager' WHEN id <= 20 THEN 'Assistant Manager' WHEN d % 3 = 0 THEN 'Stock Clerk'
            ELSE 'Cashier' END,
       CASE WHEN id <= 10 THEN NULL WHEN id <= 20 THEN id - 10 ELSE 11 + (id - 1) % 10 END,
       CASE WHEN id <= 10 THEN 36 + c % 24 * 0.5 WHEN id <= 20 THEN 26 + c % 16 * 0.5 ELSE 16.5 + c % 20 * 0.25 END,
       max(date('2013-02-01', (e % 4400) || ' days'), (SELECT opened_on FROM stores WHERE stores.id = 1 + (i.id - 1) % 10))
FROM (SELECT n - 700 AS id, * FROM dice WHERE n BETWEEN 701 AND 790) AS i;

CREATE TABLE suppliers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT NOT NULL,
  contact_email TEXT
);
INSERT INTO suppliers VALUES
  (1, 'Ironwood Tools', 'USA', 'sales@ironwood.example'), (2, 'Nordlys Lighting', 'Denmark', NULL),
  (3, 'Great Lakes Paint', 'USA', 'orders@glpaint.example'), (4, 'Sakura Blades', 'Japan', 'Export@Sakura.example'),
  (5, 'Verde Garden', 'Mexico', 'ventas@verde.example'), (6, 'Keller Beschläge', 'Germany', 'info@keller.example'),
  (7, 'Cascade Lumber', 'Canada', NULL), (8, 'HomeBright', 'China', 'b2b@homebright.example'),
  (9, 'Prairie Plumbing Supply', 'USA', NULL);

CREATE TABLE products (
  sku TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  department TEXT NOT NULL,
  price REAL NOT NULL,
  cost REAL                       -- NULL: not known yet
);
INSERT INTO products (sku, name, department, price) VALUES
  ('TL-101', 'Claw Hammer', 'Tools', 18.99), ('TL-102', 'Cordless Drill', 'Tools', 129), ('TL-103', 'Tape Measure', 'Tools', 11.49),
  ('TL-104', 'Circular Saw', 'Tools', 154.5), ('TL-105', 'Screwdriver Set', 'Tools', 27.99), ('TL-106', 'Utility Knife', 'Tools', 8.99),
  ('TL-107', 'Japanese Pull Saw', 'Tools', 42), ('TL-108', 'Adjustable Wrench', 'Tools', 16.25), ('TL-109', 'Spirit Level', 'Tools', 23.4),
  ('PT-201', 'Interior Paint, White 1 gal', 'Paint', 34.99), ('PT-202', 'Exterior Paint, Grey 1 gal', 'Paint', 41.99),
  ('PT-203', 'Paint Roller Kit', 'Paint', 14.99), ('PT-204', 'Primer 1 qt', 'Paint', 17.5), ('PT-205', 'Masking Tape', 'Paint', 4.79),
  ('PT-206', 'Wood Stain, Walnut', 'Paint', 21.25), ('PT-207', 'Drop Cloth', 'Paint', 12.99),
  ('GD-301', 'Garden Hose 50 ft', 'Garden', 32.99), ('GD-302', 'Pruning Shears', 'Garden', 24.99), ('GD-303', 'Potting Soil 20 qt', 'Garden', 9.99),
  ('GD-304', 'Lawn Mower, Electric', 'Garden', 349), ('GD-305', 'Tomato Cage', 'Garden', 6.49), ('GD-306', 'Leaf Rake', 'Garden', 19.5),
  ('GD-307', 'Bird Feeder', 'Garden', 28.75), ('GD-308', 'Wheelbarrow', 'Garden', 89.99), ('GD-309', 'Snow Shovel', 'Garden', 26.99),
  ('LT-401', 'LED Bulb 60W, 4-pack', 'Lighting', 10.99), ('LT-402', 'Porch Lantern', 'Lighting', 59.99), ('LT-403', 'Desk Lamp', 'Lighting', 38.5),
  ('LT-404', 'Ceiling Fan', 'Lighting', 119.99), ('LT-405', 'Flashlight', 'Lighting', 15.99), ('LT-406', 'String Lights', 'Lighting', 22.49),
  ('PL-501', 'Kitchen Faucet', 'Plumbing', 109), ('PL-502', 'Shower Head', 'Plumbing', 44.99), ('PL-503', 'Pipe Wrench', 'Plumbing', 29.95),
  ('PL-504', 'Drain Cleaner', 'Plumbing', 7.99), ('PL-505', 'Toilet Repair Kit', 'Plumbing', 18.75), ('PL-506', 'PVC Pipe 10 ft', 'Plumbing', 5.85),
  ('HW-601', 'Deck Screws, 5 lb', 'Hardware', 31.49), ('HW-602', 'Door Hinge', 'Hardware', 6.25), ('HW-603', 'Deadbolt Lock', 'Hardware', 47.99),
  ('HW-604', 'Cabinet Knob', 'Hardware', 3.99), ('HW-605', 'Wall Anchor Set', 'Hardware', 8.49), ('HW-606', 'Padlock', 'Hardware', 13.99),
  ('LB-701', 'Pine Stud 2x4', 'Lumber', 4.65), ('LB-702', 'Plywood Sheet', 'Lumber', 46.8), ('LB-703', 'Cedar Board', 'Lumber', 14.3),
  ('LB-704', 'Oak Shelf', 'Lumber', 36), ('HM-801', 'Storage Bin', 'Home', 12.49), ('HM-802', 'Smoke Detector', 'Home', 24.99),
  ('HM-803', 'Extension Cord 25 ft', 'Home', 19.99), ('HM-804', 'Step Ladder', 'Home', 69.99), ('HM-805', 'Space Heater', 'Home', 79.5),
  ('HM-806', 'Box Fan', 'Home', 34.5), ('HM-807', 'Cedar Hangers', 'Home', 16.99);
UPDATE products SET cost = (SELECT round(price * (48 + a % 27) / 100, 2) FROM dice WHERE n = 800 + products.rowid)
WHERE rowid % 14 <> 6;

CREATE TABLE product_suppliers (
  sku TEXT NOT NULL REFERENCES products (sku),
  supplier_id INTEGER NOT NULL REFERENCES suppliers (id),
  lead_days INTEGER,
  PRIMARY KEY (sku, supplier_id)
);
INSERT OR IGNORE INTO product_suppliers
SELECT sku, CASE WHEN nth = 2 THEN json_extract('[8,1,6,8,5,4]', '$[' || (a % 6) || ']')
                 ELSE json_extract('{"TL":1,"PT":3,"GD":5,"LT":2,"PL":9,"HW":6,"LB":7,"HM":8}', '$.' || substr(sku, 1, 2)) END,
       CASE WHEN c % 10 > 0 THEN 3 + b % 40 END
FROM products JOIN (SELECT 1 AS nth UNION SELECT 2) JOIN dice ON n = 900 + products.rowid * 2 + nth
WHERE nth = 1 OR d % 5 < 2;

CREATE TABLE stock (
  store_id INTEGER NOT NULL REFERENCES stores (id),
  sku TEXT NOT NULL REFERENCES products (sku),
  on_hand INTEGER,                -- NULL: never counted
  reorder_level INTEGER NOT NULL,
  counted_on TEXT,
  PRIMARY KEY (store_id, sku)
) WITHOUT ROWID;
INSERT INTO stock
SELECT id, sku, CASE WHEN a % 30 = 0 THEN NULL WHEN b % 25 = 0 THEN 0
                     ELSE CAST(c % 90 * 40 / (10 + price) AS INTEGER) + d % 7 END,
       CASE WHEN price > 100 THEN 2 WHEN price > 30 THEN 6 ELSE 15 END,
       CASE WHEN a % 30 > 0 THEN date('2025-09-01', (e % 118) || ' days') END
FROM stores JOIN products JOIN dice ON n = 1100 + id * 60 + products.rowid
WHERE closed_on IS NULL AND f % 12 > 0;

CREATE TABLE members (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT,
  tier TEXT NOT NULL,             -- basic, silver, gold
  birth_year INTEGER,
  joined_on TEXT NOT NULL,
  home_store_id INTEGER REFERENCES stores (id),
  referred_by INTEGER REFERENCES members (id)
);
INSERT INTO members
SELECT m.id, m.name, CASE f % 9 WHEN 0 THEN NULL WHEN 1 THEN upper(city) WHEN 2 THEN city || ' ' WHEN 3 THEN lower(city)
                     ELSE city END,
       CASE WHEN m.id % 11 = 0 THEN 'gold' WHEN m.id % 4 = 0 THEN 'silver' ELSE 'basic' END,
       CASE WHEN e % 5 > 0 THEN 1944 + b % 62 END, date('2021-01-04', (m.id * 4 + a % 5) || ' days'), stores.id,
       CASE WHEN e % 6 = 0 AND m.id > 20 THEN 1 + d % (m.id - 1) END
FROM (SELECT n - 1800 AS id, 1 + c % 10 AS store, *,
             (SELECT first FROM names WHERE n = a / 64 % 64) || ' ' || (SELECT last FROM names WHERE n = b / 64 % 64) AS name
      FROM dice WHERE n BETWEEN 1801 AND 2220) AS m
JOIN stores ON stores.id = store;

CREATE TABLE promotions (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  department TEXT,                -- NULL: every department
  percent_off INTEGER NOT NULL,
  starts TEXT NOT NULL,           -- MM/DD/YYYY
  ends TEXT NOT NULL
);
INSERT INTO promotions VALUES
  (1, 'New Year Fix-Up', 'Paint', 15, '01/02/2024', '01/15/2024'),
  (2, 'Spring Garden Days', 'Garden', 20, '04/05/2024', '04/21/2024'),
  (3, 'Father''s Day', 'Tools', 15, '06/10/2024', '06/16/2024'),
  (4, 'Black Friday', NULL, 25, '11/29/2024', '12/02/2024'),
  (5, 'Spring Garden Days', 'Garden', 20, '04/04/2025', '04/20/2025'),
  (6, 'Paint Week', 'Paint', 10, '05/12/2025', '05/18/2025'),
  (7, 'Father''s Day', 'Tools', 15, '06/09/2025', '06/15/2025'),
  (8, 'Lights Before Dark', 'Lighting', 20, '10/20/2025', '11/02/2025'),
  (9, 'Black Friday', NULL, 25, '11/28/2025', '12/01/2025');

CREATE TABLE sales (
  id INTEGER PRIMARY KEY,
  "transaction" TEXT NOT NULL UNIQUE,  -- the number on the receipt
  store_id INTEGER NOT NULL REFERENCES stores (id),
  cashier_id INTEGER REFERENCES employees (id),   -- NULL: self-checkout
  member_id INTEGER REFERENCES members (id),      -- NULL: no loyalty card
  sold_at TEXT NOT NULL,          -- YYYY-MM-DD HH:MM
  payment TEXT NOT NULL
);
-- Chicago sells most; weekends sell more; only members who had joined by then, and the
-- last fifty never bought anything.
INSERT INTO sales ("transaction", store_id, cashier_id, member_id, sold_at, payment)
SELECT printf('%02d-%06d', store, 100000 + row_number() OVER (ORDER BY sold_at, n)), store,
       CASE WHEN e % 7 > 0 THEN (SELECT min((id * 7 + d) % 11 * 1000 + id) % 1000 FROM employees
                                 WHERE store_id = store AND position = 'Cashier') END,
       (SELECT m.id FROM members m WHERE m.id = 1 + (f % 370) * (b % 1000) / 1000 * 97 % 370 AND m.joined_on <= sold_at
          AND c % 10 < 7),
       sold_at, json_extract('["card","card","cash","card","gift card","mobile","card","cash"]', '$[' || (d % 8) || ']')
FROM (SELECT *, date(day, CASE WHEN f % 6 = 0 THEN 'weekday 6' ELSE '0 days' END)
                || printf(' %02d:%02d', 8 + (c % 7 + e % 6), d % 60) AS sold_at
      FROM (SELECT *, json_extract('[3,3,3,5,5,6,6,10,10,4,4,1,1,8,8,7,7,2,9,3]', '$[' || (a % 20) || ']') AS store,
                   date('2024-01-01', CAST(724 * (b % 9973) / 9973 AS INTEGER) || ' days') AS day
            FROM dice WHERE n BETWEEN 3001 AND 5000))
WHERE store <> 9 OR sold_at < '2025-06-30'
ORDER BY sold_at, n;

CREATE TABLE "sale lines" (
  sale_id INTEGER NOT NULL REFERENCES sales (id),
  line INTEGER NOT NULL,
  sku TEXT NOT NULL REFERENCES products (sku),
  quantity INTEGER NOT NULL,      -- negative: a return
  unit_price REAL NOT NULL,
  promotion_id INTEGER REFERENCES promotions (id),
  PRIMARY KEY (sale_id, line)
) WITHOUT ROWID;
-- Space heaters sell in winter, garden things in summer; the last product never sold.
INSERT INTO "sale lines"
SELECT sale_id, line, sku, quantity,
       round(price * (100 - coalesce((SELECT percent_off FROM promotions WHERE id = promotion), 0)) / 100, 2), promotion
FROM (SELECT s.id AS sale_id, nth AS line, p.sku, p.price,
             CASE WHEN f % 60 = 0 THEN -1 WHEN p.price < 15 THEN 1 + c % 5 WHEN p.price < 50 THEN 1 + c % 7 / 5 ELSE 1 END AS quantity,
             (SELECT min(id) FROM promotions m WHERE coalesce(m.department, p.department) = p.department AND date(s.sold_at)
                BETWEEN substr(m.starts, 7) || '-' || substr(m.starts, 1, 2) || '-' || substr(m.starts, 4, 2)
                    AND substr(m.ends, 7) || '-' || substr(m.ends, 1, 2) || '-' || substr(m.ends, 4, 2)) AS promotion
      FROM sales s JOIN (SELECT 1 AS nth UNION SELECT 2 UNION SELECT 3)
      JOIN dice ON dice.n = 5000 + s.id * 3 + nth
      JOIN products p ON p.rowid = CASE
        WHEN substr(s.sold_at, 6, 2) IN ('04', '05', '06', '07') AND b % 5 = 0 THEN 17 + a % 8
        WHEN substr(s.sold_at, 6, 2) IN ('12', '01') AND b % 9 = 0 THEN json_extract('[25,52,31]', '$[' || (a % 3) || ']')
        ELSE 1 + (a % 53) * (600 + b % 400) / 1000 * 30 % 53 END
      WHERE nth = 1 OR e % 100 < 85 - 25 * nth)
ORDER BY 1, 2;

CREATE VIEW monthly_store_sales AS
SELECT s.store_id, st.name AS store, substr(s.sold_at, 1, 7) AS month, count(DISTINCT s.id) AS sales,
       round(sum(l.quantity * l.unit_price), 2) AS revenue
FROM sales s JOIN "sale lines" l ON l.sale_id = s.id JOIN stores st ON st.id = s.store_id
GROUP BY s.store_id, month;
