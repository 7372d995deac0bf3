/*M!999999\- enable the sandbox mode */ 

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
DROP TABLE IF EXISTS `alembic_version`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `alembic_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `alembic_version` VALUES ('0004');
DROP TABLE IF EXISTS `artifact`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `artifact` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'Trial',
  `attempt_id` int(11) NOT NULL COMMENT 'The attempt that made it',
  `name` longtext NOT NULL COMMENT 'Name; the file''s own unless the line gave another',
  `url` longtext NOT NULL COMMENT 'Where it is, as file:// URL',
  `format` varchar(20) DEFAULT NULL COMMENT 'Ending of the file''s name',
  `bytes` bigint(20) DEFAULT NULL COMMENT 'Size when it was reported',
  `sha256` varchar(64) DEFAULT NULL COMMENT 'Digest when it was reported',
  PRIMARY KEY (`id`),
  KEY `ix_artifact_trial_id` (`trial_id`),
  KEY `ix_artifact_attempt_id` (`attempt_id`),
  CONSTRAINT `fk_artifact_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_artifact_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='A file that a trial made and named in an ARTIFACT line.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `attempt`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `attempt` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'The trial it tries to run',
  `submission_id` int(11) DEFAULT NULL COMMENT 'The submission that carries it',
  `array_index` int(11) NOT NULL COMMENT 'SLURM_ARRAY_TASK_ID, 0 without an array',
  `restart` int(11) NOT NULL DEFAULT 0 COMMENT 'SLURM_RESTART_COUNT: 0, or more after a requeue',
  `number` int(11) NOT NULL COMMENT '1 for a trial''s first attempt, then 2 …',
  `token` varchar(40) NOT NULL COMMENT 'Fences its writes',
  `claim` varchar(40) DEFAULT NULL COMMENT 'Nonce of the worker that claimed it, so that it knows its own claim',
  `state` varchar(20) NOT NULL COMMENT 'Where it stands',
  `slurm_job_id` varchar(60) DEFAULT NULL COMMENT 'As squeue -r prints it, e.g. 123_4',
  `cluster` varchar(60) DEFAULT NULL COMMENT 'Cluster name, if several',
  `host` varchar(255) DEFAULT NULL COMMENT 'Slurm node name, else hostname',
  `requested` longtext DEFAULT NULL COMMENT 'Resources requested for it' CHECK (json_valid(`requested`)),
  `measured` longtext DEFAULT NULL COMMENT 'Resources it used' CHECK (json_valid(`measured`)),
  `infos` longtext DEFAULT NULL COMMENT 'Its OO-Info lines, by name' CHECK (json_valid(`infos`)),
  `exit_code` int(11) DEFAULT NULL COMMENT 'Exit code of the program',
  `signal` int(11) DEFAULT NULL COMMENT 'Signal that ended the program',
  `slurm_state` varchar(40) DEFAULT NULL COMMENT 'Slurm''s last word on it',
  `failure_class` varchar(20) DEFAULT NULL COMMENT 'Why it gave no result',
  `failure_name` varchar(80) DEFAULT NULL COMMENT 'The rule or the log pattern that gave it its class',
  `failure_message` longtext DEFAULT NULL COMMENT 'The same in a sentence',
  `failure_action` longtext DEFAULT NULL COMMENT 'What was done about it',
  `failure_evidence` longtext DEFAULT NULL COMMENT 'What the class rests on' CHECK (json_valid(`failure_evidence`)),
  `log_path` longtext DEFAULT NULL COMMENT 'Its log, relative to the run folder',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was planned',
  `submitted_at` datetime(6) DEFAULT NULL COMMENT 'When the scheduler took it',
  `started_at` datetime(6) DEFAULT NULL COMMENT 'When a worker claimed it',
  `ended_at` datetime(6) DEFAULT NULL COMMENT 'When it ended',
  `heartbeat_at` datetime(6) DEFAULT NULL COMMENT 'Last sign of life',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_attempt_trial_id_number` (`trial_id`,`number`),
  UNIQUE KEY `uq_attempt_token` (`token`),
  UNIQUE KEY `uq_attempt_submission_id_array_index_restart` (`submission_id`,`array_index`,`restart`),
  KEY `ix_attempt_open` (`trial_id`),
  KEY `ix_attempt_failed` (`failure_class`,`trial_id`),
  KEY `ix_attempt_ended_at` (`ended_at`),
  CONSTRAINT `fk_attempt_submission_id` FOREIGN KEY (`submission_id`) REFERENCES `submission` (`id`),
  CONSTRAINT `fk_attempt_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_attempt_attemptstate` CHECK (`state` in ('PLANNED','SUBMITTED','STARTED','SUCCEEDED','FAILED','LOST','CANCELLED','SUPERSEDED')),
  CONSTRAINT `ck_attempt_failureclass` CHECK (`failure_class` in ('PROGRAM','NO_RESULT','TIMEOUT','OUT_OF_MEMORY','PREEMPTED','NODE','LOST','NO_DATABASE','SUBMIT','RULE','CANCELLED'))
) ENGINE=InnoDB AUTO_INCREMENT=6 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One try to run a trial.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `attempt` VALUES (1,1,1,0,0,1,'3cce6f92c91293757d0652ef','4e5347e721550e52','SUCCEEDED','local-26237-6189092',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','{\"wall_seconds\": 0.0024208639952121302, \"user_seconds\": 0.001199, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56750080, \"program_started_at\": \"2026-11-21T20:42:30.044285+00:00\", \"program_ended_at\": \"2026-11-21T20:42:30.058152+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/83/8306f1bf4bbde530_0.log','2026-11-21 20:42:28.701378','2026-11-21 20:42:28.719144','2026-11-21 20:42:30.037166','2026-11-21 20:42:30.773461','2026-11-21 20:42:30.037166');
INSERT INTO `attempt` VALUES (2,2,1,1,0,1,'165f6f8df51e2b4050390084','5d070c53fc57141a','SUCCEEDED','local-26238-6189092',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','{\"wall_seconds\": 0.0025852280014078133, \"user_seconds\": 0.0013629999999999998, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56922112, \"program_started_at\": \"2026-11-21T20:42:30.030844+00:00\", \"program_ended_at\": \"2026-11-21T20:42:30.044587+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/83/8306f1bf4bbde530_1.log','2026-11-21 20:42:28.701378','2026-11-21 20:42:28.719148','2026-11-21 20:42:30.024561','2026-11-21 20:42:30.768806','2026-11-21 20:42:30.024561');
INSERT INTO `attempt` VALUES (3,3,2,0,0,1,'bca0efbcd46f84d335e8f739','e49fb5450f1b71cb','FAILED','local-26276-6189301',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','{\"wall_seconds\": 0.006990226997004356, \"user_seconds\": 0.001142, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56803328, \"program_started_at\": \"2026-11-21T20:42:31.361598+00:00\", \"program_ended_at\": \"2026-11-21T20:42:31.571409+00:00\"}',NULL,1,NULL,NULL,'PROGRAM',NULL,'the program ended with exit code 1','tried again for the last time','{\"blame\": \"PAIRED\", \"exit_code\": 1}','logs/10/1014363dd566147d_0.log','2026-11-21 20:42:30.790725','2026-11-21 20:42:30.799579','2026-11-21 20:42:31.358509','2026-11-21 20:42:31.830474','2026-11-21 20:42:31.358509');
INSERT INTO `attempt` VALUES (4,4,3,0,0,1,'87f50fa37514bc6bddc97fe7','93604e4b0a7b6880','SUCCEEDED','local-26277-6189302',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','{\"wall_seconds\": 0.0018848549952963367, \"user_seconds\": 0.001254, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56827904, \"program_started_at\": \"2026-11-21T20:42:31.345759+00:00\", \"program_ended_at\": \"2026-11-21T20:42:31.352925+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/e8/e8dc31e0aab0ddb1_0.log','2026-11-21 20:42:30.801582','2026-11-21 20:42:30.807477','2026-11-21 20:42:31.342918','2026-11-21 20:42:31.823465','2026-11-21 20:42:31.342918');
INSERT INTO `attempt` VALUES (5,3,4,0,0,2,'7ac1548e656a043f538600fa','1ff0ae442065c5a4','FAILED','local-26294-6189405',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','{\"wall_seconds\": 0.0014641910020145588, \"user_seconds\": 0.0013109999999999999, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56872960, \"program_started_at\": \"2026-11-21T20:42:32.340632+00:00\", \"program_ended_at\": \"2026-11-21T20:42:32.545469+00:00\"}',NULL,1,NULL,NULL,'PROGRAM',NULL,'the program ended with exit code 1','given up: its one further try was used up','{\"blame\": \"PAIRED\", \"exit_code\": 1}','logs/2d/2d131fb3f13237eb_0.log','2026-11-21 20:42:31.834218','2026-11-21 20:42:31.839306','2026-11-21 20:42:32.337898','2026-11-21 20:42:32.853352','2026-11-21 20:42:32.337898');
DROP TABLE IF EXISTS `card`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `card` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `parent_id` int(11) DEFAULT NULL COMMENT 'The card that this one is a part of',
  `position` int(11) DEFAULT NULL COMMENT 'Order among the parts of its parent',
  `name` varchar(100) NOT NULL COMMENT 'The analysis that made it',
  `title` varchar(255) NOT NULL COMMENT 'Title',
  `subtitle` longtext DEFAULT NULL COMMENT 'What it shows, in a sentence',
  `category` varchar(100) DEFAULT NULL COMMENT 'Cards that belong together',
  `kind` varchar(20) NOT NULL COMMENT 'What the blob is',
  `data_frame` longtext DEFAULT NULL COMMENT 'The numbers, column by column' CHECK (json_valid(`data_frame`)),
  `blob` longtext DEFAULT NULL COMMENT 'Plotly''s JSON, or Markdown',
  `attributes` longtext DEFAULT NULL COMMENT 'Anything else' CHECK (json_valid(`attributes`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When it was made',
  PRIMARY KEY (`id`),
  KEY `fk_card_parent_id` (`parent_id`),
  KEY `ix_card_experiment_id` (`experiment_id`),
  CONSTRAINT `fk_card_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_card_parent_id` FOREIGN KEY (`parent_id`) REFERENCES `card` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_card_cardkind` CHECK (`kind` in ('TABLE','PLOTLY','MARKDOWN'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One analysis of an experiment: a table, a figure or a text.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `code_file`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `code_file` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `path` varchar(500) NOT NULL COMMENT 'Absolute path',
  `sha256` varchar(64) NOT NULL COMMENT 'What it held; empty: it was gone',
  `bytes` bigint(20) NOT NULL COMMENT 'Its size',
  `attempt_id` int(11) DEFAULT NULL COMMENT 'The attempt that met it first; NULL: it was so when the head started',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was met first',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_code_file_experiment_id_path_sha256` (`experiment_id`,`path`,`sha256`),
  KEY `ix_code_file_attempt_id` (`attempt_id`),
  CONSTRAINT `fk_code_file_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE SET NULL,
  CONSTRAINT `fk_code_file_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='A file that the program names, in one of the versions that were met.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `event`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `event` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `kind` varchar(40) NOT NULL COMMENT 'What happened, e.g. setup, ask, tell',
  `trial_id` int(11) DEFAULT NULL COMMENT 'The trial it is about',
  `payload` longtext NOT NULL COMMENT 'The details' CHECK (json_valid(`payload`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When',
  PRIMARY KEY (`id`),
  KEY `ix_event_trial_id` (`trial_id`),
  KEY `ix_event_experiment_id_id` (`experiment_id`,`id`),
  CONSTRAINT `fk_event_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_event_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One thing that happened or was decided; append-only, the audit trail.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `event` VALUES (1,1,'setup',NULL,'{\"spec\": {\"schema_version\": 1, \"name\": \"old\", \"program\": \"test %(n) -lt 7 && echo \\\"METRIC: loss=0.5 step=1\\\" && echo \\\"OO-Info: colour: blue\\\" && echo \\\"LOSS: %(x)\\\"\", \"working_folder\": \"@WORK@\", \"snapshot\": [], \"space\": {\"parameters\": [{\"name\": \"x\", \"value_type\": \"float\", \"kind\": \"range\", \"lower\": 0.0, \"upper\": 1.0, \"log_scale\": false}, {\"name\": \"n\", \"value_type\": \"int\", \"kind\": \"range\", \"lower\": 1, \"upper\": 8, \"log_scale\": false}, {\"name\": \"kind\", \"value_type\": \"str\", \"kind\": \"choice\", \"choices\": [\"a\", \"b\"], \"is_ordered\": false}], \"constraints\": [{\"text\": \"x + n <= 8\", \"coefficients\": {\"x\": 1.0, \"n\": 1.0}, \"bound\": 8.0}]}, \"objectives\": [{\"name\": \"LOSS\", \"minimize\": true}], \"strategy\": {\"nodes\": [{\"generator\": \"SOBOL\", \"num_trials\": 3, \"min_observed\": 0}, {\"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2}]}, \"resources\": {\"partition\": null, \"memory_mb\": null, \"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"minutes\": null, \"account\": null, \"reservation\": null, \"qos\": null, \"constraint\": null, \"gres\": null, \"exclude\": [], \"requeue\": false}, \"executor\": \"local\", \"num_parallel_jobs\": 2, \"max_eval\": 4, \"seed\": 7, \"worker_timeout_seconds\": null, \"time_limit_seconds\": null, \"max_failed_jobs\": null, \"max_failure_rate\": null, \"retries\": 1, \"auto_exclude\": true, \"rules\": [], \"preflight\": null, \"description\": \"a \\u201cfirst\\u201d search\", \"participant\": null, \"user_metadata\": {}, \"group\": null, \"timing\": {\"lease_renew_seconds\": 5.0, \"lease_expire_seconds\": 30.0, \"heartbeat_seconds\": 15.0, \"dead_seconds\": 120.0, \"spool_grace_seconds\": 60.0, \"claim_patience_seconds\": 600.0, \"report_patience_seconds\": 60.0, \"grace_seconds\": 20.0, \"slurm_limit_seconds\": 60.0, \"sacct_limit_seconds\": 30.0, \"connect_seconds\": 10.0, \"calls_per_minute\": 20.0, \"calls_burst\": 40, \"poll_min_seconds\": 2.0, \"poll_max_seconds\": 60.0, \"exclusion_seconds\": 21600.0, \"preflight_seconds\": 60.0}}, \"database\": \"mysql+pymysql://headway:***@127.0.0.1:16110/test_459e47f9\", \"run_dir\": \"@WORK@/runs/old/1\", \"versions\": {\"python\": \"3.11.7\", \"headway\": \"0.1.0\", \"numpy\": \"2.4.6\", \"scipy\": \"1.17.1\", \"optuna\": \"5.0.0\"}}','2026-11-21 20:42:28.530571');
INSERT INTO `event` VALUES (2,1,'ask',NULL,'{\"generation\": 0, \"step\": 0, \"generator\": \"SOBOL\", \"process\": \"model\", \"head\": 1, \"incarnation\": 1, \"requested\": 2, \"seed\": 431379789, \"state_from\": null, \"told\": [], \"told_failed\": [], \"pending\": [], \"fallback_reason\": null, \"trials\": [0, 1]}','2026-11-21 20:42:28.699832');
INSERT INTO `event` VALUES (3,1,'tell',2,'{\"trial_index\": 1, \"attempt\": 2, \"means\": {\"LOSS\": 0.549255003221333}, \"sems\": {}}','2026-11-21 20:42:30.772385');
INSERT INTO `event` VALUES (4,1,'tell',1,'{\"trial_index\": 0, \"attempt\": 1, \"means\": {\"LOSS\": 0.30124185513705015}, \"sems\": {}}','2026-11-21 20:42:30.775748');
INSERT INTO `event` VALUES (5,1,'ask',NULL,'{\"generation\": 1, \"step\": 0, \"generator\": \"SOBOL\", \"process\": \"model\", \"head\": 1, \"incarnation\": 1, \"requested\": 1, \"seed\": 3553817977, \"state_from\": 0, \"told\": [1, 0], \"told_failed\": [], \"pending\": [], \"fallback_reason\": null, \"trials\": [2]}','2026-11-21 20:42:30.781451');
INSERT INTO `event` VALUES (6,1,'ask',NULL,'{\"generation\": 2, \"step\": 1, \"generator\": \"TPE\", \"process\": \"model\", \"head\": 1, \"incarnation\": 1, \"requested\": 1, \"seed\": 462121814, \"state_from\": null, \"told\": [], \"told_failed\": [], \"pending\": [2], \"fallback_reason\": null, \"trials\": [3]}','2026-11-21 20:42:30.797862');
INSERT INTO `event` VALUES (7,1,'tell',4,'{\"trial_index\": 3, \"attempt\": 4, \"means\": {\"LOSS\": 0.0008298126951844509}, \"sems\": {}}','2026-11-21 20:42:31.825789');
INSERT INTO `event` VALUES (8,1,'failure',3,'{\"trial_index\": 2, \"attempt\": 3, \"failure\": \"PROGRAM\", \"name\": null, \"message\": \"the program ended with exit code 1\", \"evidence\": {\"blame\": \"PAIRED\", \"exit_code\": 1}, \"host\": \"login1\", \"again\": true, \"action\": \"tried again for the last time\"}','2026-11-21 20:42:31.831721');
INSERT INTO `event` VALUES (9,1,'failure',3,'{\"trial_index\": 2, \"attempt\": 5, \"failure\": \"PROGRAM\", \"name\": null, \"message\": \"the program ended with exit code 1\", \"evidence\": {\"blame\": \"PAIRED\", \"exit_code\": 1}, \"host\": \"login1\", \"again\": false, \"action\": \"given up: its one further try was used up\"}','2026-11-21 20:42:32.854799');
INSERT INTO `event` VALUES (10,1,'tell',3,'{\"trial_index\": 2, \"attempt\": 5, \"means\": null, \"sems\": {}}','2026-11-21 20:42:32.855215');
INSERT INTO `event` VALUES (11,1,'exit',NULL,'{\"how\": \"DONE\", \"status\": \"FINISHED\", \"reason\": null, \"head\": 1}','2026-11-21 20:42:32.865124');
DROP TABLE IF EXISTS `exclusion`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `exclusion` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `host_id` int(11) NOT NULL COMMENT 'The host',
  `experiment_id` int(11) DEFAULT NULL COMMENT 'The experiment that found it; the exclusion holds for all',
  `source` varchar(20) NOT NULL COMMENT 'Who decided',
  `decided_by` longtext DEFAULT NULL COMMENT 'user@host, where a person decided',
  `reason` longtext NOT NULL COMMENT 'Why, in a sentence',
  `evidence` longtext DEFAULT NULL COMMENT 'What that rests on' CHECK (json_valid(`evidence`)),
  `created_at` datetime(6) NOT NULL COMMENT 'From when on',
  `expires_at` datetime(6) DEFAULT NULL COMMENT 'Until when; NULL: until included',
  `ended_at` datetime(6) DEFAULT NULL COMMENT 'When it really ended',
  `end_reason` longtext DEFAULT NULL COMMENT 'Why it ended',
  PRIMARY KEY (`id`),
  KEY `ix_exclusion_experiment_id` (`experiment_id`),
  KEY `ix_exclusion_host_id_ended_at` (`host_id`,`ended_at`),
  CONSTRAINT `fk_exclusion_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE SET NULL,
  CONSTRAINT `fk_exclusion_host_id` FOREIGN KEY (`host_id`) REFERENCES `host` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_exclusion_expires_at` CHECK (`expires_at` > `created_at`),
  CONSTRAINT `ck_exclusion_exclusionsource` CHECK (`source` in ('HEADWAY','USER'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='A host kept out of new jobs, with reason, evidence and expiry.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `experiment`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `experiment` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `uuid` varchar(36) NOT NULL COMMENT 'The same in every database',
  `name` varchar(100) NOT NULL COMMENT 'Name given by the user',
  `run_number` int(11) NOT NULL COMMENT '1 for the first run of this name, then 2 …',
  `group` longtext DEFAULT NULL COMMENT 'Experiments that belong together',
  `description` longtext DEFAULT NULL COMMENT 'Free text of the user',
  `participant` longtext DEFAULT NULL COMMENT 'Whom or what was studied',
  `user_metadata` longtext DEFAULT NULL COMMENT 'The user''s own keys and values' CHECK (json_valid(`user_metadata`)),
  `spec` longtext NOT NULL COMMENT 'What was asked for, frozen; holds no password' CHECK (json_valid(`spec`)),
  `status` varchar(20) NOT NULL COMMENT 'Where the experiment stands',
  `stop_reason` longtext DEFAULT NULL COMMENT 'Why it ended, in a sentence',
  `owner` longtext NOT NULL COMMENT 'user@host that started it',
  `run_dir` longtext NOT NULL COMMENT 'The run folder, absolute',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was set up',
  `ended_at` datetime(6) DEFAULT NULL COMMENT 'When its last head ended',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_experiment_name_run_number` (`name`,`run_number`),
  UNIQUE KEY `uq_experiment_uuid` (`uuid`),
  CONSTRAINT `ck_experiment_experimentstatus` CHECK (`status` in ('RUNNING','STOPPING','FINISHED','STOPPED','FAILED','INTERRUPTED'))
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One search: a space, objectives, a strategy, a program and resources.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `experiment` VALUES (1,'f969c15f-b93f-497d-a103-4a91578fbb18','old',1,NULL,'a “first” search',NULL,'null','{\"schema_version\": 1, \"name\": \"old\", \"program\": \"test %(n) -lt 7 && echo \\\"METRIC: loss=0.5 step=1\\\" && echo \\\"OO-Info: colour: blue\\\" && echo \\\"LOSS: %(x)\\\"\", \"working_folder\": \"@WORK@\", \"snapshot\": [], \"space\": {\"parameters\": [{\"name\": \"x\", \"value_type\": \"float\", \"kind\": \"range\", \"lower\": 0.0, \"upper\": 1.0, \"log_scale\": false}, {\"name\": \"n\", \"value_type\": \"int\", \"kind\": \"range\", \"lower\": 1, \"upper\": 8, \"log_scale\": false}, {\"name\": \"kind\", \"value_type\": \"str\", \"kind\": \"choice\", \"choices\": [\"a\", \"b\"], \"is_ordered\": false}], \"constraints\": [{\"text\": \"x + n <= 8\", \"coefficients\": {\"x\": 1.0, \"n\": 1.0}, \"bound\": 8.0}]}, \"objectives\": [{\"name\": \"LOSS\", \"minimize\": true}], \"strategy\": {\"nodes\": [{\"generator\": \"SOBOL\", \"num_trials\": 3, \"min_observed\": 0}, {\"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2}]}, \"resources\": {\"partition\": null, \"memory_mb\": null, \"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"minutes\": null, \"account\": null, \"reservation\": null, \"qos\": null, \"constraint\": null, \"gres\": null, \"exclude\": [], \"requeue\": false}, \"executor\": \"local\", \"num_parallel_jobs\": 2, \"max_eval\": 4, \"seed\": 7, \"worker_timeout_seconds\": null, \"time_limit_seconds\": null, \"max_failed_jobs\": null, \"max_failure_rate\": null, \"retries\": 1, \"auto_exclude\": true, \"rules\": [], \"preflight\": null, \"description\": \"a \\u201cfirst\\u201d search\", \"participant\": null, \"user_metadata\": {}, \"group\": null, \"timing\": {\"lease_renew_seconds\": 5.0, \"lease_expire_seconds\": 30.0, \"heartbeat_seconds\": 15.0, \"dead_seconds\": 120.0, \"spool_grace_seconds\": 60.0, \"claim_patience_seconds\": 600.0, \"report_patience_seconds\": 60.0, \"grace_seconds\": 20.0, \"slurm_limit_seconds\": 60.0, \"sacct_limit_seconds\": 30.0, \"connect_seconds\": 10.0, \"calls_per_minute\": 20.0, \"calls_burst\": 40, \"poll_min_seconds\": 2.0, \"poll_max_seconds\": 60.0, \"exclusion_seconds\": 21600.0, \"preflight_seconds\": 60.0}}','FINISHED',NULL,'root@login1','@WORK@/runs/old/1','2026-11-21 20:42:28.507335','2026-11-21 20:42:32.858370');
DROP TABLE IF EXISTS `generation`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `generation` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `number` int(11) NOT NULL COMMENT 'Order of the calls, from 0; seeds the call',
  `node` int(11) NOT NULL COMMENT 'Position of the strategy''s step it counts for',
  `generator` varchar(100) NOT NULL COMMENT 'The generator that answered',
  `requested` int(11) NOT NULL COMMENT 'Points asked for',
  `produced` int(11) NOT NULL COMMENT 'Points given',
  `fit_time` double DEFAULT NULL COMMENT 'Seconds spent on fitting a model',
  `gen_time` double DEFAULT NULL COMMENT 'Seconds spent on making the points',
  `seed` bigint(20) NOT NULL COMMENT 'Seed of this call',
  `state` longtext DEFAULT NULL COMMENT 'What the generator needs to go on' CHECK (json_valid(`state`)),
  `predictions` longtext DEFAULT NULL COMMENT 'What the model expected' CHECK (json_valid(`predictions`)),
  `fallback_reason` longtext DEFAULT NULL COMMENT 'Why another generator than the step''s own answered',
  `created_at` datetime(6) NOT NULL COMMENT 'When the answer came',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_generation_experiment_id_number` (`experiment_id`,`number`),
  CONSTRAINT `fk_generation_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One call of a generator: what it was asked, what it gave, how long it took.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `generation` VALUES (1,1,0,0,'SOBOL',2,2,0,0.017627353001444135,431379789,'{\"seed\": 431379789, \"position\": 2}','null',NULL,'2026-11-21 20:42:28.697503');
INSERT INTO `generation` VALUES (2,1,1,0,'SOBOL',1,1,0,0.0009354299982078373,3553817977,'{\"seed\": 431379789, \"position\": 3}','null',NULL,'2026-11-21 20:42:30.780379');
INSERT INTO `generation` VALUES (3,1,2,1,'TPE',1,1,0.001324945995293092,0.0037983650036039762,462121814,'null','null',NULL,'2026-11-21 20:42:30.796821');
DROP TABLE IF EXISTS `generation_node`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `generation_node` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `position` int(11) NOT NULL COMMENT 'Order of the steps, from 0',
  `generator` varchar(100) NOT NULL COMMENT 'Generator, e.g. SOBOL or TPE',
  `num_trials` int(11) DEFAULT NULL COMMENT 'Trials it gives; NULL: all the rest',
  `min_observed` int(11) NOT NULL COMMENT 'Finished trials of earlier steps that it needs before it starts',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_generation_node_experiment_id_position` (`experiment_id`,`position`),
  CONSTRAINT `fk_generation_node_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One step of an experiment''s strategy.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `generation_node` VALUES (1,1,0,'SOBOL',3,0);
INSERT INTO `generation_node` VALUES (2,1,1,'TPE',NULL,2);
DROP TABLE IF EXISTS `head_lease`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `head_lease` (
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `host` varchar(255) NOT NULL COMMENT 'Host of the head',
  `boot_id` varchar(64) NOT NULL COMMENT 'Boot of that host',
  `pid` int(11) NOT NULL COMMENT 'Process of the head',
  `process_started` bigint(20) NOT NULL COMMENT 'Start of the process in clock ticks after boot',
  `epoch` int(11) NOT NULL COMMENT 'Grows with every change of the owner',
  `expires_at` datetime(6) NOT NULL COMMENT 'By the clock of the database',
  PRIMARY KEY (`experiment_id`),
  CONSTRAINT `fk_head_lease_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Which head owns an experiment, and until when.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `head_lease` VALUES (1,'login1','11111111-2222-4333-8444-555555555555',0,0,1,'2026-11-21 20:42:32.866415');
DROP TABLE IF EXISTS `host`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `host` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `cluster` varchar(60) NOT NULL COMMENT 'Cluster, empty where there is only one',
  `name` varchar(255) NOT NULL COMMENT 'Slurm node name, else hostname',
  `state` varchar(20) NOT NULL COMMENT 'What is thought of it',
  `reason` longtext DEFAULT NULL COMMENT 'Why, in a sentence',
  `evidence` longtext DEFAULT NULL COMMENT 'What that rests on' CHECK (json_valid(`evidence`)),
  `first_seen_at` datetime(6) NOT NULL COMMENT 'When it was first judged',
  `changed_at` datetime(6) NOT NULL COMMENT 'When its state changed last',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_host_cluster_name` (`cluster`,`name`),
  CONSTRAINT `ck_host_hoststate` CHECK (`state` in ('GOOD','SUSPECT','PAROLE'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='A compute node, by its Slurm node name.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `metric`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `metric` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'Trial',
  `attempt_id` int(11) NOT NULL COMMENT 'The attempt that measured it',
  `name` varchar(100) NOT NULL COMMENT 'Name',
  `value` double DEFAULT NULL COMMENT 'Value; NULL if it was not a finite number',
  `split` varchar(10) NOT NULL COMMENT 'Part of the data it was measured on',
  `level` varchar(10) NOT NULL COMMENT 'What one value stands for',
  `step` bigint(20) DEFAULT NULL COMMENT 'Step, batch or epoch',
  `created_at` datetime(6) NOT NULL COMMENT 'When the program printed it',
  PRIMARY KEY (`id`),
  KEY `ix_metric_attempt_id` (`attempt_id`),
  KEY `ix_metric_trial_id` (`trial_id`),
  CONSTRAINT `fk_metric_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_metric_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_metric_split` CHECK (`split` in ('TRAIN','VALIDATION','TEST')),
  CONSTRAINT `ck_metric_level` CHECK (`level` in ('LAST','STEP','BATCH','TRIAL'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One measurement along the way of an attempt.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `metric` VALUES (1,2,2,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:30.035536');
INSERT INTO `metric` VALUES (2,1,1,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:30.050181');
INSERT INTO `metric` VALUES (3,4,4,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:31.349481');
DROP TABLE IF EXISTS `objective`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `objective` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `position` int(11) NOT NULL COMMENT 'Order in which it was given, from 0',
  `name` varchar(100) NOT NULL COMMENT 'Name, as in the line NAME: VALUE',
  `minimize` tinyint(1) NOT NULL COMMENT 'True: smaller is better',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_objective_experiment_id_name` (`experiment_id`,`name`),
  CONSTRAINT `fk_objective_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One value that trials report and the search makes small or large.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `objective` VALUES (1,1,0,'LOSS',1);
DROP TABLE IF EXISTS `outcome`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `outcome` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'Trial',
  `objective_id` int(11) NOT NULL COMMENT 'Objective',
  `mean` double NOT NULL COMMENT 'The value',
  `sem` double DEFAULT NULL COMMENT 'Its standard error, if the program gave it',
  `source` varchar(10) NOT NULL COMMENT 'Where it came from',
  `attempt_id` int(11) DEFAULT NULL COMMENT 'The attempt that gave it',
  `reused_trial_id` int(11) DEFAULT NULL COMMENT 'The trial it was taken from',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_outcome_trial_id_objective_id` (`trial_id`,`objective_id`),
  KEY `fk_outcome_reused_trial_id` (`reused_trial_id`),
  KEY `ix_outcome_attempt_id` (`attempt_id`),
  KEY `ix_outcome_objective_id_mean` (`objective_id`,`mean`),
  CONSTRAINT `fk_outcome_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`),
  CONSTRAINT `fk_outcome_objective_id` FOREIGN KEY (`objective_id`) REFERENCES `objective` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_outcome_reused_trial_id` FOREIGN KEY (`reused_trial_id`) REFERENCES `trial` (`id`),
  CONSTRAINT `fk_outcome_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_outcome_source` CHECK (`source` in ('ATTEMPT','IMPORT','REUSED'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='The accepted value of one objective of one trial.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `outcome` VALUES (1,2,1,0.549255003221333,NULL,'ATTEMPT',2,NULL);
INSERT INTO `outcome` VALUES (2,1,1,0.30124185513705015,NULL,'ATTEMPT',1,NULL);
INSERT INTO `outcome` VALUES (3,4,1,0.0008298126951844509,NULL,'ATTEMPT',4,NULL);
DROP TABLE IF EXISTS `parameter`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `parameter` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `position` int(11) NOT NULL COMMENT 'Order in which it was given, from 0',
  `name` varchar(100) NOT NULL COMMENT 'Name, as the program''s text uses it',
  `kind` varchar(10) NOT NULL COMMENT 'range, choice or fixed',
  `value_type` varchar(10) NOT NULL COMMENT 'int, float, str or bool',
  `lower` double DEFAULT NULL COMMENT 'Range: lowest value, included',
  `upper` double DEFAULT NULL COMMENT 'Range: highest value, included',
  `log_scale` tinyint(1) DEFAULT NULL COMMENT 'Range: searched on a log scale',
  `choices` longtext DEFAULT NULL COMMENT 'Choice: the values' CHECK (json_valid(`choices`)),
  `is_ordered` tinyint(1) DEFAULT NULL COMMENT 'Choice: the order has a meaning',
  `fixed_value` longtext DEFAULT NULL COMMENT 'Fixed: {value: …}' CHECK (json_valid(`fixed_value`)),
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_parameter_experiment_id_name` (`experiment_id`,`name`),
  CONSTRAINT `fk_parameter_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_parameter_kind` CHECK (`kind` in ('range','choice','fixed')),
  CONSTRAINT `ck_parameter_value_type` CHECK (`value_type` in ('int','float','str','bool'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One dimension of an experiment''s space.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `parameter` VALUES (1,1,0,'x','range','float',0,1,0,'null',NULL,'null');
INSERT INTO `parameter` VALUES (2,1,1,'n','range','int',1,8,0,'null',NULL,'null');
INSERT INTO `parameter` VALUES (3,1,2,'kind','choice','str',NULL,NULL,NULL,'[\"a\", \"b\"]',0,'null');
DROP TABLE IF EXISTS `parameter_constraint`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `parameter_constraint` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `position` int(11) NOT NULL COMMENT 'Order in which it was given, from 0',
  `text` longtext NOT NULL COMMENT 'As the user wrote it',
  `coefficients` longtext DEFAULT NULL COMMENT 'Linear ones: sum(coefficient * parameter) <= bound' CHECK (json_valid(`coefficients`)),
  `bound` double DEFAULT NULL COMMENT 'Linear ones: the right-hand side',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_parameter_constraint_experiment_id_position` (`experiment_id`,`position`),
  CONSTRAINT `fk_parameter_constraint_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One comparison that every point has to meet.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `parameter_constraint` VALUES (1,1,0,'x + n <= 8','{\"x\": 1.0, \"n\": 1.0}',8);
DROP TABLE IF EXISTS `report`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `report` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key; says nothing about the order',
  `attempt_id` int(11) NOT NULL COMMENT 'The attempt it is about',
  `kind` varchar(20) NOT NULL COMMENT 'START, METRIC or END',
  `sequence` int(11) NOT NULL COMMENT 'Counts the reports of a kind, from 0',
  `payload` longtext NOT NULL COMMENT 'What it says' CHECK (json_valid(`payload`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When the database took it',
  `consumed_at` datetime(6) DEFAULT NULL COMMENT 'When the head had dealt with it',
  `refused_reason` longtext DEFAULT NULL COMMENT 'Why it was kept but not used',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_report_attempt_id_kind_sequence` (`attempt_id`,`kind`,`sequence`),
  KEY `ix_report_unconsumed` (`id`),
  CONSTRAINT `fk_report_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_report_reportkind` CHECK (`kind` in ('START','METRIC','END'))
) ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One append-only message from a worker about an attempt.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `report` VALUES (1,2,'START',0,'{\"claim\": \"5d070c53fc57141a\", \"host\": \"login1\", \"slurm_job_id\": \"local-26238-6189092\", \"pid\": 26238, \"started_at\": \"2026-11-21T20:42:28.757296+00:00\"}','2026-11-21 20:42:30.026237','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (2,1,'START',0,'{\"claim\": \"4e5347e721550e52\", \"host\": \"login1\", \"slurm_job_id\": \"local-26237-6189092\", \"pid\": 26237, \"started_at\": \"2026-11-21T20:42:28.749085+00:00\"}','2026-11-21 20:42:30.042799','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (3,2,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T20:42:30.035536+00:00\"}]}','2026-11-21 20:42:30.195545','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (5,1,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T20:42:30.050181+00:00\"}]}','2026-11-21 20:42:30.204256','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (7,2,'END',0,'{\"results\": {\"LOSS\": 0.549255003221333}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": \"local-26238-6189092\", \"started_at\": \"2026-11-21T20:42:30.030844+00:00\", \"ended_at\": \"2026-11-21T20:42:30.044587+00:00\", \"measured\": {\"wall_seconds\": 0.0025852280014078133, \"user_seconds\": 0.0013629999999999998, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56922112}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.549255003221333\\n\"}','2026-11-21 20:42:30.283710','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (8,1,'END',0,'{\"results\": {\"LOSS\": 0.30124185513705015}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": \"local-26237-6189092\", \"started_at\": \"2026-11-21T20:42:30.044285+00:00\", \"ended_at\": \"2026-11-21T20:42:30.058152+00:00\", \"measured\": {\"wall_seconds\": 0.0024208639952121302, \"user_seconds\": 0.001199, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56750080}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.30124185513705015\\n\"}','2026-11-21 20:42:30.293997','2026-11-21 20:42:30.776201',NULL);
INSERT INTO `report` VALUES (9,4,'START',0,'{\"claim\": \"93604e4b0a7b6880\", \"host\": \"login1\", \"slurm_job_id\": \"local-26277-6189302\", \"pid\": 26277, \"started_at\": \"2026-11-21T20:42:30.822143+00:00\"}','2026-11-21 20:42:31.344475','2026-11-21 20:42:31.826438',NULL);
INSERT INTO `report` VALUES (10,3,'START',0,'{\"claim\": \"e49fb5450f1b71cb\", \"host\": \"login1\", \"slurm_job_id\": \"local-26276-6189301\", \"pid\": 26276, \"started_at\": \"2026-11-21T20:42:30.812440+00:00\"}','2026-11-21 20:42:31.360085','2026-11-21 20:42:31.826438',NULL);
INSERT INTO `report` VALUES (11,4,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T20:42:31.349481+00:00\"}]}','2026-11-21 20:42:31.413632','2026-11-21 20:42:31.826438',NULL);
INSERT INTO `report` VALUES (13,4,'END',0,'{\"results\": {\"LOSS\": 0.0008298126951844509}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": \"local-26277-6189302\", \"started_at\": \"2026-11-21T20:42:31.345759+00:00\", \"ended_at\": \"2026-11-21T20:42:31.352925+00:00\", \"measured\": {\"wall_seconds\": 0.0018848549952963367, \"user_seconds\": 0.001254, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56827904}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.0008298126951844509\\n\"}','2026-11-21 20:42:31.456669','2026-11-21 20:42:31.826438',NULL);
INSERT INTO `report` VALUES (14,3,'END',0,'{\"results\": {}, \"sems\": {}, \"infos\": {}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 1, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": \"local-26276-6189301\", \"started_at\": \"2026-11-21T20:42:31.361598+00:00\", \"ended_at\": \"2026-11-21T20:42:31.571409+00:00\", \"measured\": {\"wall_seconds\": 0.006990226997004356, \"user_seconds\": 0.001142, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56803328}, \"tail\": \"\"}','2026-11-21 20:42:31.609537','2026-11-21 20:42:31.832217',NULL);
INSERT INTO `report` VALUES (15,5,'START',0,'{\"claim\": \"1ff0ae442065c5a4\", \"host\": \"login1\", \"slurm_job_id\": \"local-26294-6189405\", \"pid\": 26294, \"started_at\": \"2026-11-21T20:42:31.852292+00:00\"}','2026-11-21 20:42:32.339473','2026-11-21 20:42:32.849718',NULL);
INSERT INTO `report` VALUES (16,5,'END',0,'{\"results\": {}, \"sems\": {}, \"infos\": {}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 1, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": \"local-26294-6189405\", \"started_at\": \"2026-11-21T20:42:32.340632+00:00\", \"ended_at\": \"2026-11-21T20:42:32.545469+00:00\", \"measured\": {\"wall_seconds\": 0.0014641910020145588, \"user_seconds\": 0.0013109999999999999, \"system_seconds\": 0.0, \"peak_memory_bytes\": 56872960}, \"tail\": \"\"}','2026-11-21 20:42:32.587031','2026-11-21 20:42:32.855629',NULL);
DROP TABLE IF EXISTS `spec_version`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `spec_version` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `version` int(11) NOT NULL COMMENT '1 for the spec of the start, then 2 …',
  `spec` longtext NOT NULL COMMENT 'The whole spec; holds no password' CHECK (json_valid(`spec`)),
  `reason` longtext NOT NULL COMMENT 'What made it: setup, or what a resume changed',
  `created_at` datetime(6) NOT NULL COMMENT 'From when on it was in force',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_spec_version_experiment_id_version` (`experiment_id`,`version`),
  CONSTRAINT `fk_spec_version_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_spec_version_version` CHECK (`version` >= 1)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What was asked for at one time: a new version for each change, e.g. at a resume.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `spec_version` VALUES (1,1,1,'{\"schema_version\": 1, \"name\": \"old\", \"program\": \"test %(n) -lt 7 && echo \\\"METRIC: loss=0.5 step=1\\\" && echo \\\"OO-Info: colour: blue\\\" && echo \\\"LOSS: %(x)\\\"\", \"working_folder\": \"@WORK@\", \"snapshot\": [], \"space\": {\"parameters\": [{\"name\": \"x\", \"value_type\": \"float\", \"kind\": \"range\", \"lower\": 0.0, \"upper\": 1.0, \"log_scale\": false}, {\"name\": \"n\", \"value_type\": \"int\", \"kind\": \"range\", \"lower\": 1, \"upper\": 8, \"log_scale\": false}, {\"name\": \"kind\", \"value_type\": \"str\", \"kind\": \"choice\", \"choices\": [\"a\", \"b\"], \"is_ordered\": false}], \"constraints\": [{\"text\": \"x + n <= 8\", \"coefficients\": {\"x\": 1.0, \"n\": 1.0}, \"bound\": 8.0}]}, \"objectives\": [{\"name\": \"LOSS\", \"minimize\": true}], \"strategy\": {\"nodes\": [{\"generator\": \"SOBOL\", \"num_trials\": 3, \"min_observed\": 0}, {\"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2}]}, \"resources\": {\"partition\": null, \"memory_mb\": null, \"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"minutes\": null, \"account\": null, \"reservation\": null, \"qos\": null, \"constraint\": null, \"gres\": null, \"exclude\": [], \"requeue\": false}, \"executor\": \"local\", \"num_parallel_jobs\": 2, \"max_eval\": 4, \"seed\": 7, \"worker_timeout_seconds\": null, \"time_limit_seconds\": null, \"max_failed_jobs\": null, \"max_failure_rate\": null, \"retries\": 1, \"auto_exclude\": true, \"rules\": [], \"preflight\": null, \"description\": \"a \\u201cfirst\\u201d search\", \"participant\": null, \"user_metadata\": {}, \"group\": null, \"timing\": {\"lease_renew_seconds\": 5.0, \"lease_expire_seconds\": 30.0, \"heartbeat_seconds\": 15.0, \"dead_seconds\": 120.0, \"spool_grace_seconds\": 60.0, \"claim_patience_seconds\": 600.0, \"report_patience_seconds\": 60.0, \"grace_seconds\": 20.0, \"slurm_limit_seconds\": 60.0, \"sacct_limit_seconds\": 30.0, \"connect_seconds\": 10.0, \"calls_per_minute\": 20.0, \"calls_burst\": 40, \"poll_min_seconds\": 2.0, \"poll_max_seconds\": 60.0, \"exclusion_seconds\": 21600.0, \"preflight_seconds\": 60.0}}','setup','2026-11-21 20:42:28.514595');
DROP TABLE IF EXISTS `strategy_snapshot`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `strategy_snapshot` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `reason` varchar(20) NOT NULL COMMENT 'What made it worth keeping',
  `node` int(11) NOT NULL COMMENT 'Position of the step that is filled now',
  `generator` varchar(100) NOT NULL COMMENT 'The generator of that step',
  `document` longtext NOT NULL COMMENT 'Steps with their counts, state of each generator, number of the next call' CHECK (json_valid(`document`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When',
  PRIMARY KEY (`id`),
  KEY `ix_strategy_snapshot_experiment_id_id` (`experiment_id`,`id`),
  CONSTRAINT `fk_strategy_snapshot_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_strategy_snapshot_snapshotreason` CHECK (`reason` in ('NODE_CHANGE','HEAD_END'))
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Where the strategy of an experiment stood; enough to go on from there.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `strategy_snapshot` VALUES (1,1,'NODE_CHANGE',1,'TPE','{\"nodes\": [{\"position\": 0, \"generator\": \"SOBOL\", \"num_trials\": 3, \"min_observed\": 0, \"proposed\": 3, \"observed\": 2}, {\"position\": 1, \"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2, \"proposed\": 0, \"observed\": 0}], \"states\": {\"SOBOL\": {\"number\": 1, \"state\": {\"seed\": 431379789, \"position\": 3}}}, \"next_generation\": 2, \"told\": 2, \"best\": [{\"objective\": \"LOSS\", \"trial\": 0, \"mean\": 0.30124185513705015}]}','2026-11-21 20:42:30.788666');
INSERT INTO `strategy_snapshot` VALUES (2,1,'HEAD_END',1,'TPE','{\"nodes\": [{\"position\": 0, \"generator\": \"SOBOL\", \"num_trials\": 3, \"min_observed\": 0, \"proposed\": 3, \"observed\": 2}, {\"position\": 1, \"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2, \"proposed\": 1, \"observed\": 1}], \"states\": {\"SOBOL\": {\"number\": 1, \"state\": {\"seed\": 431379789, \"position\": 3}}}, \"next_generation\": 3, \"told\": 4, \"best\": [{\"objective\": \"LOSS\", \"trial\": 3, \"mean\": 0.0008298126951844509}]}','2026-11-21 20:42:32.864587');
DROP TABLE IF EXISTS `submission`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `submission` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `token` varchar(32) NOT NULL COMMENT 'Part of the job''s name; identifies the submission',
  `size` int(11) NOT NULL COMMENT 'Number of attempts it carries',
  `resources` longtext NOT NULL COMMENT 'What was requested of the scheduler' CHECK (json_valid(`resources`)),
  `state` varchar(20) NOT NULL COMMENT 'What became of the call',
  `slurm_job_id` varchar(40) DEFAULT NULL COMMENT 'Job id, when known',
  `message` longtext DEFAULT NULL COMMENT 'What sbatch said when it did not accept',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was prepared',
  `answered_at` datetime(6) DEFAULT NULL COMMENT 'When its state became known',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_submission_token` (`token`),
  KEY `ix_submission_experiment_id` (`experiment_id`),
  CONSTRAINT `fk_submission_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_submission_submissionstate` CHECK (`state` in ('PREPARED','ACCEPTED','REFUSED','UNCLEAR'))
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One call of sbatch: one job or one array, carrying one or more attempts.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `submission` VALUES (1,1,'8306f1bf4bbde530',2,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','ACCEPTED','local-26237-6189092',NULL,'2026-11-21 20:42:28.701378','2026-11-21 20:42:28.717958');
INSERT INTO `submission` VALUES (2,1,'1014363dd566147d',1,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','ACCEPTED','local-26276-6189301',NULL,'2026-11-21 20:42:30.790725','2026-11-21 20:42:30.798930');
INSERT INTO `submission` VALUES (3,1,'e8dc31e0aab0ddb1',1,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','ACCEPTED','local-26277-6189302',NULL,'2026-11-21 20:42:30.801582','2026-11-21 20:42:30.806791');
INSERT INTO `submission` VALUES (4,1,'2d131fb3f13237eb',1,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": [], \"requeue\": false}','ACCEPTED','local-26294-6189405',NULL,'2026-11-21 20:42:31.834218','2026-11-21 20:42:31.838621');
DROP TABLE IF EXISTS `trial`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `trial` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `index` int(11) NOT NULL COMMENT 'Number within the experiment, from 0',
  `generation_id` int(11) DEFAULT NULL COMMENT 'The call that proposed it',
  `parameters` longtext NOT NULL COMMENT 'Parameter values, by name' CHECK (json_valid(`parameters`)),
  `parameter_hash` varchar(64) NOT NULL COMMENT 'SHA-256 of the parameters',
  `status` smallint(6) NOT NULL COMMENT 'Ax''s trial status number',
  `status_reason` longtext DEFAULT NULL COMMENT 'Why it failed or was abandoned',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was proposed',
  `staged_at` datetime(6) DEFAULT NULL COMMENT 'When its first attempt was planned',
  `run_started_at` datetime(6) DEFAULT NULL COMMENT 'When a worker first claimed it',
  `completed_at` datetime(6) DEFAULT NULL COMMENT 'When its status became final',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_trial_experiment_id_index` (`experiment_id`,`index`),
  KEY `ix_trial_generation_id` (`generation_id`),
  KEY `ix_trial_experiment_id_status` (`experiment_id`,`status`),
  KEY `ix_trial_experiment_id_completed_at` (`experiment_id`,`completed_at`),
  CONSTRAINT `fk_trial_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_trial_generation_id` FOREIGN KEY (`generation_id`) REFERENCES `generation` (`id`),
  CONSTRAINT `ck_trial_status` CHECK (`status` in (0,1,2,3,4,5,7,8))
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One point of the space that is to be evaluated; has one final outcome.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `trial` VALUES (1,1,0,1,'{\"x\": 0.30124185513705015, \"n\": 6, \"kind\": \"a\"}','8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54',3,NULL,'2026-11-21 20:42:28.698701','2026-11-21 20:42:28.703771','2026-11-21 20:42:30.765568','2026-11-21 20:42:30.774461');
INSERT INTO `trial` VALUES (2,1,1,1,'{\"x\": 0.549255003221333, \"n\": 2, \"kind\": \"b\"}','3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef',3,NULL,'2026-11-21 20:42:28.698701','2026-11-21 20:42:28.703771','2026-11-21 20:42:30.763321','2026-11-21 20:42:30.770471');
INSERT INTO `trial` VALUES (3,1,2,2,'{\"x\": 0.7731535704806447, \"n\": 7, \"kind\": \"a\"}','1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311',2,'the program ended with exit code 1','2026-11-21 20:42:30.781029','2026-11-21 20:42:30.792479','2026-11-21 20:42:31.821464','2026-11-21 20:42:32.854095');
INSERT INTO `trial` VALUES (4,1,3,3,'{\"x\": 0.0008298126951844509, \"n\": 3, \"kind\": \"a\"}','c0c33a3d05cd2e0f3d636501869bbefb114af25d438e6a37a529f4641a081a95',3,NULL,'2026-11-21 20:42:30.797447','2026-11-21 20:42:30.802891','2026-11-21 20:42:31.819601','2026-11-21 20:42:31.824467');
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

