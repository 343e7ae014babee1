-- Riverside Clinics, outpatient care. Money is REAL (USD). Dates are ISO text, appointments
-- to the minute; lab_results.taken_on is compact, YYYYMMDD, as the analyser writes it.
-- Awkward on purpose: sex coded in two cases and missing, lab values stored as text
-- ("<0.5"), diagnosis codes to look up, a column called "primary", uninsured patients,
-- no-shows, doctors without a supervisor.

CREATE TABLE departments (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  floor INTEGER
);
INSERT INTO departments VALUES
  (1, 'Family Medicine', 1), (2, 'Cardiology', 3), (3, 'Dermatology', 2), (4, 'Orthopedics', 2),
  (5, 'Pediatrics', 1), (6, 'Endocrinology', 3), (7, 'Neurology', 4), (8, 'Telehealth', NULL);

CREATE TABLE doctors (
  id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  department_id INTEGER NOT NULL REFERENCES departments (id),
  supervisor_id INTEGER REFERENCES doctors (id),
  hired_on TEXT NOT NULL,
  left_on TEXT
);
INSERT INTO doctors
SELECT id, (SELECT first FROM names WHERE n = a % 64), (SELECT last FROM names WHERE n = (b + id * 3) % 64),
       1 + (id - 1) % 7, CASE WHEN id > 7 THEN 1 + (id - 1) % 7 END,
       date('2009-02-01', (id * 130 + c % 90) || ' days'),
       CASE WHEN id IN (9, 23) THEN date('2025-02-28', (id * 5) || ' days') END
FROM (SELECT n - 1100 AS id, * FROM dice WHERE n BETWEEN 1101 AND 1136);

CREATE TABLE insurers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  "type" TEXT NOT NULL            -- private or public
);
INSERT INTO insurers VALUES
  (1, 'Evergreen Health', 'private'), (2, 'Medicare', 'public'), (3, 'Medicaid', 'public'),
  (4, 'Blue Summit', 'private'), (5, 'Atlas Mutual', 'private'), (6, 'Pioneer Care', 'private');

CREATE TABLE patients (
  id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  sex TEXT,                       -- F, M, and f, m from an older form; NULL not stated
  birth_date TEXT NOT NULL,
  city TEXT,
  insurer_id INTEGER REFERENCES insurers (id),   -- NULL: pays for themselves
  emergency_contact_id INTEGER REFERENCES patients (id)
);
INSERT INTO patients
SELECT id, (SELECT first FROM names WHERE n = fn), (SELECT last FROM names WHERE n = b % 64),
       CASE WHEN e % 25 = 0 THEN NULL WHEN e % 8 = 1 THEN substr('fm', 1 + fn % 2, 1)
            ELSE substr('FM', 1 + fn % 2, 1) END,
       born,
       CASE WHEN d % 31 > 0 THEN json_extract('["Portland","Salem","Vancouver","Eugene","Portland","Gresham",
         "Portland","Beaverton","Hillsboro","Portland ","Salem","beaverton"]', '$[' || (d % 12) || ']') END,
       CASE WHEN f % 11 = 0 THEN NULL WHEN born < '1960-10-01' THEN 2
            ELSE json_extract('[1,4,1,5,3,6,4,1,3]', '$[' || (f % 9) || ']') END,
       CASE WHEN a % 6 = 0 AND id > 30 THEN 1 + c % (id - 1) END
FROM (SELECT n - 1200 AS id, a / 64 % 64 AS fn, date('2023-06-01', (-c % 31000) || ' days') AS born, *
      FROM dice WHERE n BETWEEN 1201 AND 1720);

CREATE TABLE appointments (
  id INTEGER PRIMARY KEY,
  patient_id INTEGER NOT NULL REFERENCES patients (id),
  doctor_id INTEGER NOT NULL REFERENCES doctors (id),
  scheduled_at TEXT NOT NULL,     -- YYYY-MM-DD HH:MM
  duration_minutes INTEGER,       -- NULL unless completed
  status TEXT NOT NULL,           -- completed, no-show, cancelled, scheduled
  notes TEXT
);
-- Weekdays only, 08:00 to 16:45; children see pediatricians, adults do not; the last
-- thirty patients have registered and never come.
INSERT INTO appointments (patient_id, doctor_id, scheduled_at, duration_minutes, status, notes)
SELECT patient, doctors.id, day || printf(' %02d:%02d', 8 + c % 9, d % 4 * 15),
       CASE WHEN status = 'completed' THEN 10 + d % 8 * 5 END, status,
       CASE WHEN a % 5 = 0 THEN json_extract('["Follow-up in 3 months","pt asked for callback",
         "REFER TO SPECIALIST","Interpreter needed","Bring previous results","follow-up by phone"]',
         '$[' || (b % 6) || ']') END
FROM (SELECT *, CASE WHEN day > '2025-12-19' THEN 'scheduled' WHEN f % 100 < 8 THEN 'no-show'
                     WHEN f % 100 < 19 THEN 'cancelled' ELSE 'completed' END AS status
      FROM (SELECT *, 1 + CASE WHEN e % 3 = 0 THEN a % 490 ELSE (a % 490) * (c % 1000) / 1000 * 37 % 490 END
                        AS patient,
                   CASE WHEN d % 10 < 2 THEN 1 + e % 5 * 7 ELSE 1 + (e % 36) * (500 + c % 500) / 1000 * 11 % 36 END AS doctor,
                   date('2024-01-02', (b % 731) || ' days') AS day FROM dice WHERE n BETWEEN 2001 AND 4200)
      WHERE strftime('%w', day) BETWEEN '1' AND '5') AS visit
JOIN patients ON patients.id = patient AND birth_date < day
JOIN doctors ON doctors.id = CASE WHEN birth_date > date(day, '-18 years') THEN 5 + doctor % 5 * 7
                                  WHEN doctor % 7 = 5 THEN doctor - 4 ELSE doctor END
            AND (left_on IS NULL OR day < left_on) AND hired_on < day
ORDER BY 3, 1;

CREATE TABLE diagnoses (
  code TEXT PRIMARY KEY,          -- ICD-10-CM
  description TEXT NOT NULL,
  chronic INTEGER NOT NULL        -- 1 or 0
);
INSERT INTO diagnoses VALUES
  ('I10', 'Essential (primary) hypertension', 1), ('E11.9', 'Type 2 diabetes without complications', 1),
  ('J06.9', 'Acute upper respiratory infection', 0), ('M54.50', 'Low back pain', 0),
  ('L20.9', 'Atopic dermatitis', 1), ('J45.909', 'Asthma', 1), ('E78.5', 'Hyperlipidemia', 1),
  ('G43.909', 'Migraine', 1), ('F41.1', 'Generalized anxiety disorder', 1), ('K21.9', 'Acid reflux', 1),
  ('S93.401', 'Sprained ankle', 0), ('L70.0', 'Acne vulgaris', 0), ('E03.9', 'Hypothyroidism', 1),
  ('H66.90', 'Ear infection', 0), ('N39.0', 'Urinary tract infection', 0), ('I48.91', 'Atrial fibrillation', 1),
  ('B35.3', 'Athlete''s foot', 0), ('Z00.00', 'General check-up', 0);

CREATE TABLE appointment_diagnoses (
  appointment_id INTEGER NOT NULL REFERENCES appointments (id),
  diagnosis_code TEXT NOT NULL REFERENCES diagnoses (code),
  "primary" INTEGER NOT NULL,     -- 1 for the main reason of the visit
  PRIMARY KEY (appointment_id, diagnosis_code)
);
INSERT OR IGNORE INTO appointment_diagnoses
SELECT a.id,
       json_extract(CASE WHEN nth = 2 THEN '["I10","E78.5","E11.9","F41.1","K21.9","I10"]'
         ELSE json_extract('[["J06.9","I10","E11.9","M54.50","Z00.00","Z00.00"],
           ["I10","I48.91","E78.5","I10","I10","I48.91"],["L20.9","L70.0","B35.3","L20.9","L70.0","L20.9"],
           ["M54.50","S93.401","M54.50","S93.401","M54.50","M54.50"],
           ["J06.9","H66.90","J45.909","Z00.00","H66.90","J06.9"],
           ["E11.9","E03.9","E78.5","E11.9","E11.9","E03.9"],
           ["G43.909","G43.909","F41.1","G43.909","F41.1","G43.909"]]', '$[' || (d.department_id - 1) || ']')
         END, '$[' || (dice.a % 6) || ']'), nth = 1
FROM appointments a JOIN doctors d ON d.id = a.doctor_id JOIN (SELECT 1 AS nth UNION SELECT 2)
JOIN dice ON dice.n = 4200 + a.id * 2 + nth
WHERE a.status = 'completed' AND (nth = 1 AND dice.b % 40 > 0 OR dice.b % 4 = 0)
ORDER BY a.id, nth;

CREATE TABLE medications (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  "strength (mg)" REAL,
  diagnosis_code TEXT REFERENCES diagnoses (code)   -- what it is mostly given for
);
INSERT INTO medications (name, "strength (mg)", diagnosis_code) VALUES
  ('Lisinopril', 10, 'I10'), ('Amlodipine', 5, 'I10'), ('Metformin', 500, 'E11.9'),
  ('Atorvastatin', 20, 'E78.5'), ('Albuterol', NULL, 'J45.909'), ('Sumatriptan', 50, 'G43.909'),
  ('Sertraline', 50, 'F41.1'), ('Omeprazole', 20, 'K21.9'), ('Levothyroxine', 0.05, 'E03.9'),
  ('Amoxicillin', 500, 'H66.90'), ('Nitrofurantoin', 100, 'N39.0'), ('Apixaban', 5, 'I48.91'),
  ('Ibuprofen', 400, 'M54.50'), ('Hydrocortisone cream', NULL, 'L20.9'), ('Adapalene gel', NULL, 'L70.0'),
  ('Terbinafine cream', NULL, 'B35.3'), ('Metformin', 1000, 'E11.9'), ('Ibuprofen', 600, 'S93.401');

CREATE TABLE prescriptions (
  id INTEGER PRIMARY KEY,
  appointment_id INTEGER NOT NULL REFERENCES appointments (id),
  medication_id INTEGER NOT NULL REFERENCES medications (id),
  days INTEGER,                   -- NULL: until further notice
  refills INTEGER NOT NULL DEFAULT 0
);
INSERT INTO prescriptions (appointment_id, medication_id, days, refills)
SELECT ad.appointment_id, m.id,
       CASE WHEN g.chronic AND a % 3 = 0 THEN NULL WHEN g.chronic THEN 30 * (1 + b % 3) ELSE 5 + b % 3 * 2 END,
       CASE WHEN g.chronic THEN c % 4 ELSE 0 END
FROM appointment_diagnoses ad JOIN diagnoses g ON g.code = ad.diagnosis_code
JOIN medications m ON m.diagnosis_code = g.code
JOIN dice ON dice.n = 8000 + ad.appointment_id * 3 + m.id % 3
WHERE d % 100 < 45
ORDER BY 1, 2;

CREATE TABLE lab_results (
  id INTEGER PRIMARY KEY,
  patient_id INTEGER NOT NULL REFERENCES patients (id),
  ordered_by INTEGER REFERENCES doctors (id),
  test TEXT NOT NULL,
  taken_on TEXT NOT NULL,         -- YYYYMMDD
  result TEXT,                    -- a number, "<0.5" below what can be measured, NULL pending
  unit TEXT NOT NULL,
  flag TEXT                       -- H high, L low, NULL normal
);
INSERT INTO lab_results (patient_id, ordered_by, test, taken_on, result, unit, flag)
SELECT patient_id, CASE WHEN c % 18 > 0 THEN doctor_id END, test, strftime('%Y%m%d', scheduled_at, '1 day'),
       CASE WHEN f % 29 = 0 THEN NULL WHEN test = 'CRP' AND value < 8 THEN '<0.5'
            ELSE CAST(value / CASE test WHEN 'Glucose' THEN 1 WHEN 'LDL' THEN 1 ELSE 10.0 END AS TEXT) END,
       CASE test WHEN 'HbA1c' THEN '%' WHEN 'TSH' THEN 'mIU/L' WHEN 'CRP' THEN 'mg/L' ELSE 'mg/dL' END,
       CASE WHEN f % 29 = 0 THEN NULL
            WHEN value > CASE test WHEN 'HbA1c' THEN 64 WHEN 'Glucose' THEN 125 WHEN 'LDL' THEN 159
                              WHEN 'TSH' THEN 45 ELSE 100 END THEN 'H'
            WHEN value < CASE test WHEN 'TSH' THEN 5 WHEN 'Glucose' THEN 70 ELSE 0 END THEN 'L' END
FROM (SELECT *, CASE test WHEN 'HbA1c' THEN 48 + d % 50 * (e % 100) / 100 WHEN 'Glucose' THEN 64 + d % 120 * (e % 100) / 100
                          WHEN 'LDL' THEN 70 + d % 120 WHEN 'TSH' THEN 3 + d % 60 * (e % 100) / 100
                          ELSE 1 + d % 160 * (e % 100) / 100 END AS value
      FROM (SELECT appointments.*, c, d, e, f,
                   json_extract('["HbA1c","Glucose","LDL","TSH","CRP","Glucose"]', '$[' || (b % 6) || ']') AS test
            FROM appointments JOIN dice ON n = 12000 + appointments.id
            WHERE status = 'completed' AND a % 100 < 38))
ORDER BY 4, 1;

CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  appointment_id INTEGER NOT NULL UNIQUE REFERENCES appointments (id),
  amount REAL NOT NULL,
  insurance_paid REAL NOT NULL,
  patient_paid REAL NOT NULL,
  issued_on TEXT NOT NULL
);
INSERT INTO invoices (appointment_id, amount, insurance_paid, patient_paid, issued_on)
SELECT id, amount, covered,
       CASE WHEN f % 8 = 0 THEN 0 WHEN f % 8 = 1 THEN round((amount - covered) / 2, 2) ELSE round(amount - covered, 2) END,
       issued_on
FROM (SELECT *, CASE WHEN insurer_id IS NULL THEN 0.0
                     ELSE round(amount * CASE "type" WHEN 'public' THEN 0.8 ELSE 0.7 + d % 3 * 0.1 END, 2) END AS covered
      FROM (SELECT a.id, round(65 + duration_minutes * 3.2 + dice.b % 9 * 12.5, 2) AS amount, dice.d, dice.f, p.insurer_id,
                   i."type", date(scheduled_at, (2 + dice.c % 12) || ' days') AS issued_on
            FROM appointments a JOIN patients p ON p.id = a.patient_id
            LEFT JOIN insurers i ON i.id = p.insurer_id
            JOIN dice ON dice.n = 14000 + a.id
            WHERE a.status = 'completed'))
ORDER BY issued_on, id;

CREATE VIEW open_balances AS
SELECT p.id AS patient_id, p.first_name || ' ' || p.last_name AS patient, count(*) AS invoices,
       round(sum(v.amount - v.insurance_paid - v.patient_paid), 2) AS owed
FROM invoices v JOIN appointments a ON a.id = v.appointment_id JOIN patients p ON p.id = a.patient_id
WHERE v.amount - v.insurance_paid - v.patient_paid > 0.005
GROUP BY p.id;
