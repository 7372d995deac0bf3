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
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `alembic_version` VALUES ('0001');
DROP TABLE IF EXISTS `artifact`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `artifact` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'Trial',
  `attempt_id` int(11) NOT NULL COMMENT 'The attempt that made it',
  `name` text NOT NULL COMMENT 'Name; the file''s own unless the line gave another',
  `url` text NOT NULL COMMENT 'Where it is, as file:// URL',
  `format` varchar(20) DEFAULT NULL COMMENT 'Ending of the file''s name',
  `bytes` bigint(20) DEFAULT NULL COMMENT 'Size when it was reported',
  `sha256` varchar(64) DEFAULT NULL COMMENT 'Digest when it was reported',
  PRIMARY KEY (`id`),
  KEY `ix_artifact_attempt_id` (`attempt_id`),
  KEY `ix_artifact_trial_id` (`trial_id`),
  CONSTRAINT `fk_artifact_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_artifact_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='A file that a trial made and named in an ARTIFACT line.';
/*!40101 SET character_set_client = @saved_cs_client */;

DROP TABLE IF EXISTS `attempt`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `attempt` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'The trial it tries to run',
  `submission_id` int(11) DEFAULT NULL COMMENT 'The submission that carries it',
  `array_index` int(11) NOT NULL COMMENT 'SLURM_ARRAY_TASK_ID, 0 without an array',
  `number` int(11) NOT NULL COMMENT '1 for a trial''s first attempt, then 2 …',
  `token` varchar(40) NOT NULL COMMENT 'Fences its writes',
  `claim` varchar(40) DEFAULT NULL COMMENT 'Nonce of the worker that claimed it, so that it knows its own claim',
  `state` varchar(20) NOT NULL COMMENT 'Where it stands',
  `slurm_job_id` varchar(60) DEFAULT NULL COMMENT 'As squeue -r prints it, e.g. 123_4',
  `cluster` varchar(60) DEFAULT NULL COMMENT 'Cluster name, if several',
  `host` varchar(255) DEFAULT NULL COMMENT 'Slurm node name, else hostname',
  `requested` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Resources requested for it' CHECK (json_valid(`requested`)),
  `measured` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Resources it used' CHECK (json_valid(`measured`)),
  `infos` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Its OO-Info lines, by name' CHECK (json_valid(`infos`)),
  `exit_code` int(11) DEFAULT NULL COMMENT 'Exit code of the program',
  `signal` int(11) DEFAULT NULL COMMENT 'Signal that ended the program',
  `slurm_state` varchar(40) DEFAULT NULL COMMENT 'Slurm''s last word on it',
  `failure_class` varchar(20) DEFAULT NULL COMMENT 'Why it gave no result',
  `failure_message` text DEFAULT NULL COMMENT 'The same in a sentence',
  `log_path` text DEFAULT NULL COMMENT 'Its log, relative to the run folder',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was planned',
  `submitted_at` datetime(6) DEFAULT NULL COMMENT 'When the scheduler took it',
  `started_at` datetime(6) DEFAULT NULL COMMENT 'When a worker claimed it',
  `ended_at` datetime(6) DEFAULT NULL COMMENT 'When it ended',
  `heartbeat_at` datetime(6) DEFAULT NULL COMMENT 'Last sign of life',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_attempt_trial_id_number` (`trial_id`,`number`),
  UNIQUE KEY `uq_attempt_token` (`token`),
  UNIQUE KEY `uq_attempt_submission_id_array_index` (`submission_id`,`array_index`),
  KEY `ix_attempt_open` (`trial_id`),
  CONSTRAINT `fk_attempt_submission_id` FOREIGN KEY (`submission_id`) REFERENCES `submission` (`id`),
  CONSTRAINT `fk_attempt_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_attempt_attemptstate` CHECK (`state` in ('PLANNED','SUBMITTED','STARTED','SUCCEEDED','FAILED','LOST','CANCELLED','SUPERSEDED')),
  CONSTRAINT `ck_attempt_failureclass` CHECK (`failure_class` in ('PROGRAM','NO_RESULT','TIMEOUT','OUT_OF_MEMORY','PREEMPTED','NODE','LOST','NO_DATABASE','SUBMIT','CANCELLED'))
) ENGINE=InnoDB AUTO_INCREMENT=6 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One try to run a trial.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `attempt` VALUES (1,1,1,0,1,'afad365567665a2cd42dc49a','2d416b348f76c05b','SUCCEEDED','local-1271-1322020',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','{\"wall_seconds\": 0.05163935199925618, \"user_seconds\": 0.001321, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43069440, \"program_started_at\": \"2026-11-21T07:11:18.441781+00:00\", \"program_ended_at\": \"2026-11-21T07:11:18.495795+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,'logs/fa/fa694874d0f27095_0.log','2026-11-21 07:11:17.979317','2026-11-21 07:11:18.000422','2026-11-21 07:11:18.438993','2026-11-21 07:11:19.536954','2026-11-21 07:11:18.438993');
INSERT INTO `attempt` VALUES (2,2,1,1,1,'39573de2494a949dda790bfd','b48413547852103c','SUCCEEDED','local-1272-1322020',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','{\"wall_seconds\": 0.07625660200028506, \"user_seconds\": 0.001304, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43323392, \"program_started_at\": \"2026-11-21T07:11:18.482064+00:00\", \"program_ended_at\": \"2026-11-21T07:11:18.560296+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,'logs/fa/fa694874d0f27095_1.log','2026-11-21 07:11:17.979317','2026-11-21 07:11:18.000425','2026-11-21 07:11:18.479445','2026-11-21 07:11:19.543915','2026-11-21 07:11:18.479445');
INSERT INTO `attempt` VALUES (3,3,2,0,1,'1d6c2dfea909e4479e79ab2a','3a0c4530f81c0c0c','FAILED','local-1278-1322177',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','{\"wall_seconds\": 0.0016592500014667166, \"user_seconds\": 0.0, \"system_seconds\": 0.0011899999999999999, \"peak_memory_bytes\": 43388928, \"program_started_at\": \"2026-11-21T07:11:19.858140+00:00\", \"program_ended_at\": \"2026-11-21T07:11:19.862820+00:00\"}',NULL,1,NULL,NULL,'PROGRAM','the program ended with exit code 1','logs/43/4330caaf0810d279_0.log','2026-11-21 07:11:19.551871','2026-11-21 07:11:19.571854','2026-11-21 07:11:19.855590','2026-11-21 07:11:20.583850','2026-11-21 07:11:19.855590');
INSERT INTO `attempt` VALUES (4,4,2,1,1,'cb5cca86a09eaf1d189bd857','5d79ef3b18561787','SUCCEEDED','local-1279-1322177',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','{\"wall_seconds\": 0.0018224579998786794, \"user_seconds\": 0.001274, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43159552, \"program_started_at\": \"2026-11-21T07:11:19.857860+00:00\", \"program_ended_at\": \"2026-11-21T07:11:19.900151+00:00\"}','{\"colour\": \"blue\"}',0,NULL,NULL,NULL,NULL,'logs/43/4330caaf0810d279_1.log','2026-11-21 07:11:19.551871','2026-11-21 07:11:19.571857','2026-11-21 07:11:19.855264','2026-11-21 07:11:20.586537','2026-11-21 07:11:19.855264');
INSERT INTO `attempt` VALUES (5,3,3,0,2,'c18c1f621418368ecd4f045c','0231d950450ebdb6','FAILED','local-1284-1322281',NULL,'login1','{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','{\"wall_seconds\": 0.0014485400006378768, \"user_seconds\": 0.0013319999999999999, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43122688, \"program_started_at\": \"2026-11-21T07:11:20.895011+00:00\", \"program_ended_at\": \"2026-11-21T07:11:20.898430+00:00\"}',NULL,1,NULL,NULL,'PROGRAM','the program ended with exit code 1','logs/55/554aa0aa4c992d14_0.log','2026-11-21 07:11:20.590499','2026-11-21 07:11:20.596695','2026-11-21 07:11:20.892498','2026-11-21 07:11:21.605637','2026-11-21 07:11:20.892498');
DROP TABLE IF EXISTS `event`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `event` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `kind` varchar(40) NOT NULL COMMENT 'What happened, e.g. setup, ask, tell',
  `trial_id` int(11) DEFAULT NULL COMMENT 'The trial it is about',
  `payload` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'The details' CHECK (json_valid(`payload`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When',
  PRIMARY KEY (`id`),
  KEY `ix_event_experiment_id_id` (`experiment_id`,`id`),
  KEY `ix_event_trial_id` (`trial_id`),
  CONSTRAINT `fk_event_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_event_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=10 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One thing that happened or was decided; append-only, the audit trail.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `event` VALUES (1,1,'setup',NULL,'{\"spec\": {\"schema_version\": 1, \"name\": \"old\", \"program\": \"test %(n) -lt 7 && echo \\\"METRIC: loss=0.5 step=1\\\" && echo \\\"OO-Info: colour: blue\\\" && echo \\\"LOSS: %(x)\\\"\", \"working_folder\": \"@WORK@\", \"space\": {\"parameters\": [{\"name\": \"x\", \"value_type\": \"float\", \"kind\": \"range\", \"lower\": 0.0, \"upper\": 1.0, \"log_scale\": false}, {\"name\": \"n\", \"value_type\": \"int\", \"kind\": \"range\", \"lower\": 1, \"upper\": 8, \"log_scale\": false}, {\"name\": \"kind\", \"value_type\": \"str\", \"kind\": \"choice\", \"choices\": [\"a\", \"b\"], \"is_ordered\": false}], \"constraints\": [{\"text\": \"x + n <= 8\", \"coefficients\": {\"x\": 1.0, \"n\": 1.0}, \"bound\": 8.0}]}, \"objectives\": [{\"name\": \"LOSS\", \"minimize\": true}], \"strategy\": {\"nodes\": [{\"generator\": \"SOBOL\", \"num_trials\": 4, \"min_observed\": 0}, {\"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2}]}, \"resources\": {\"partition\": null, \"memory_mb\": null, \"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"minutes\": null, \"account\": null, \"reservation\": null, \"qos\": null, \"constraint\": null, \"gres\": null, \"exclude\": []}, \"executor\": \"local\", \"num_parallel_jobs\": 2, \"max_eval\": 4, \"seed\": 7, \"worker_timeout_seconds\": null, \"time_limit_seconds\": null, \"max_failed_jobs\": null, \"retries\": 1, \"auto_exclude\": true, \"description\": \"a \\u201cfirst\\u201d search\", \"participant\": null, \"user_metadata\": {}, \"group\": null, \"timing\": {\"lease_renew_seconds\": 5.0, \"lease_expire_seconds\": 30.0, \"heartbeat_seconds\": 15.0, \"dead_seconds\": 120.0, \"spool_grace_seconds\": 60.0, \"claim_patience_seconds\": 600.0, \"report_patience_seconds\": 60.0, \"grace_seconds\": 20.0, \"slurm_limit_seconds\": 60.0, \"sacct_limit_seconds\": 30.0, \"connect_seconds\": 10.0, \"calls_per_minute\": 20.0, \"calls_burst\": 40, \"poll_min_seconds\": 2.0, \"poll_max_seconds\": 60.0}}, \"database\": \"mysql+pymysql://headway:***@127.0.0.1:18337/test_27ad0247\", \"run_dir\": \"@WORK@/runs/old/1\"}','2026-11-21 07:11:17.247995');
INSERT INTO `event` VALUES (2,1,'ask',NULL,'{\"generation\": 0, \"generator\": \"SOBOL\", \"requested\": 2, \"trials\": [0, 1], \"points\": [{\"x\": 0.30124185513705015, \"n\": 6, \"kind\": \"a\"}, {\"x\": 0.549255003221333, \"n\": 2, \"kind\": \"b\"}], \"fallback_reason\": null}','2026-11-21 07:11:17.977933');
INSERT INTO `event` VALUES (3,1,'tell',1,'{\"trial_index\": 0, \"attempt\": 1, \"results\": {\"LOSS\": 0.30124185513705015}, \"sems\": {}}','2026-11-21 07:11:19.541561');
INSERT INTO `event` VALUES (4,1,'tell',2,'{\"trial_index\": 1, \"attempt\": 2, \"results\": {\"LOSS\": 0.549255003221333}, \"sems\": {}}','2026-11-21 07:11:19.545515');
INSERT INTO `event` VALUES (5,1,'ask',NULL,'{\"generation\": 1, \"generator\": \"SOBOL\", \"requested\": 2, \"trials\": [2, 3], \"points\": [{\"x\": 0.7731535704806447, \"n\": 7, \"kind\": \"a\"}, {\"x\": 0.017222526483237743, \"n\": 3, \"kind\": \"b\"}], \"fallback_reason\": null}','2026-11-21 07:11:19.550767');
INSERT INTO `event` VALUES (6,1,'failure',3,'{\"attempt\": 3, \"failure\": \"PROGRAM\", \"message\": \"the program ended with exit code 1\", \"again\": true}','2026-11-21 07:11:20.585026');
INSERT INTO `event` VALUES (7,1,'tell',4,'{\"trial_index\": 3, \"attempt\": 4, \"results\": {\"LOSS\": 0.017222526483237743}, \"sems\": {}}','2026-11-21 07:11:20.588193');
INSERT INTO `event` VALUES (8,1,'failure',3,'{\"attempt\": 5, \"failure\": \"PROGRAM\", \"message\": \"the program ended with exit code 1\", \"again\": false}','2026-11-21 07:11:21.606999');
INSERT INTO `event` VALUES (9,1,'end',NULL,'{\"status\": \"FINISHED\", \"reason\": null}','2026-11-21 07:11:21.610866');
DROP TABLE IF EXISTS `experiment`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `experiment` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `uuid` varchar(36) NOT NULL COMMENT 'The same in every database',
  `name` varchar(100) NOT NULL COMMENT 'Name given by the user',
  `run_number` int(11) NOT NULL COMMENT '1 for the first run of this name, then 2 …',
  `group` text DEFAULT NULL COMMENT 'Experiments that belong together',
  `description` text DEFAULT NULL COMMENT 'Free text of the user',
  `participant` text DEFAULT NULL COMMENT 'Whom or what was studied',
  `user_metadata` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'The user''s own keys and values' CHECK (json_valid(`user_metadata`)),
  `spec` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'What was asked for, frozen; holds no password' CHECK (json_valid(`spec`)),
  `status` varchar(20) NOT NULL COMMENT 'Where the experiment stands',
  `stop_reason` text DEFAULT NULL COMMENT 'Why it ended, in a sentence',
  `owner` text NOT NULL COMMENT 'user@host that started it',
  `run_dir` text NOT NULL COMMENT 'The run folder, absolute',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was set up',
  `ended_at` datetime(6) DEFAULT NULL COMMENT 'When its last head ended',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_experiment_name_run_number` (`name`,`run_number`),
  UNIQUE KEY `uq_experiment_uuid` (`uuid`),
  CONSTRAINT `ck_experiment_experimentstatus` CHECK (`status` in ('RUNNING','STOPPING','FINISHED','STOPPED','FAILED','INTERRUPTED'))
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One search: a space, objectives, a strategy, a program and resources.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `experiment` VALUES (1,'390f3c59-4d8e-4a6a-b529-753ba756c837','old',1,NULL,'a “first” search',NULL,'null','{\"schema_version\": 1, \"name\": \"old\", \"program\": \"test %(n) -lt 7 && echo \\\"METRIC: loss=0.5 step=1\\\" && echo \\\"OO-Info: colour: blue\\\" && echo \\\"LOSS: %(x)\\\"\", \"working_folder\": \"@WORK@\", \"space\": {\"parameters\": [{\"name\": \"x\", \"value_type\": \"float\", \"kind\": \"range\", \"lower\": 0.0, \"upper\": 1.0, \"log_scale\": false}, {\"name\": \"n\", \"value_type\": \"int\", \"kind\": \"range\", \"lower\": 1, \"upper\": 8, \"log_scale\": false}, {\"name\": \"kind\", \"value_type\": \"str\", \"kind\": \"choice\", \"choices\": [\"a\", \"b\"], \"is_ordered\": false}], \"constraints\": [{\"text\": \"x + n <= 8\", \"coefficients\": {\"x\": 1.0, \"n\": 1.0}, \"bound\": 8.0}]}, \"objectives\": [{\"name\": \"LOSS\", \"minimize\": true}], \"strategy\": {\"nodes\": [{\"generator\": \"SOBOL\", \"num_trials\": 4, \"min_observed\": 0}, {\"generator\": \"TPE\", \"num_trials\": null, \"min_observed\": 2}]}, \"resources\": {\"partition\": null, \"memory_mb\": null, \"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"minutes\": null, \"account\": null, \"reservation\": null, \"qos\": null, \"constraint\": null, \"gres\": null, \"exclude\": []}, \"executor\": \"local\", \"num_parallel_jobs\": 2, \"max_eval\": 4, \"seed\": 7, \"worker_timeout_seconds\": null, \"time_limit_seconds\": null, \"max_failed_jobs\": null, \"retries\": 1, \"auto_exclude\": true, \"description\": \"a \\u201cfirst\\u201d search\", \"participant\": null, \"user_metadata\": {}, \"group\": null, \"timing\": {\"lease_renew_seconds\": 5.0, \"lease_expire_seconds\": 30.0, \"heartbeat_seconds\": 15.0, \"dead_seconds\": 120.0, \"spool_grace_seconds\": 60.0, \"claim_patience_seconds\": 600.0, \"report_patience_seconds\": 60.0, \"grace_seconds\": 20.0, \"slurm_limit_seconds\": 60.0, \"sacct_limit_seconds\": 30.0, \"connect_seconds\": 10.0, \"calls_per_minute\": 20.0, \"calls_burst\": 40, \"poll_min_seconds\": 2.0, \"poll_max_seconds\": 60.0}}','FINISHED',NULL,'root@login1','@WORK@/runs/old/1','2026-11-21 07:11:17.242823','2026-11-21 07:11:21.610135');
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
  `state` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'What the generator needs to go on' CHECK (json_valid(`state`)),
  `predictions` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'What the model expected' CHECK (json_valid(`predictions`)),
  `fallback_reason` text DEFAULT NULL COMMENT 'Why another generator than the step''s own answered',
  `created_at` datetime(6) NOT NULL COMMENT 'When the answer came',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_generation_experiment_id_number` (`experiment_id`,`number`),
  CONSTRAINT `fk_generation_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One call of a generator: what it was asked, what it gave, how long it took.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `generation` VALUES (1,1,0,0,'SOBOL',2,2,0,0.015368083000794286,431379789,'{\"seed\": 431379789, \"position\": 2}','null',NULL,'2026-11-21 07:11:17.975346');
INSERT INTO `generation` VALUES (2,1,1,0,'SOBOL',2,2,0,0.0009538590002193814,3553817977,'{\"seed\": 431379789, \"position\": 4}','null',NULL,'2026-11-21 07:11:19.549380');
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
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One step of an experiment''s strategy.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `generation_node` VALUES (1,1,0,'SOBOL',4,0);
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
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Which head owns an experiment, and until when.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `head_lease` VALUES (1,'login1','11111111-2222-4333-8444-555555555555',0,0,1,'2026-11-21 07:11:21.612220');
DROP TABLE IF EXISTS `metric`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `metric` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `trial_id` int(11) NOT NULL COMMENT 'Trial',
  `attempt_id` int(11) NOT NULL COMMENT 'The attempt that measured it',
  `name` varchar(100) NOT NULL COMMENT 'Name',
  `value` double DEFAULT NULL COMMENT 'Value; NULL if it was not a finite number',
  `split` varchar(10) NOT NULL COMMENT 'TRAIN, VALIDATION or TEST',
  `level` varchar(10) NOT NULL COMMENT 'LAST, STEP, BATCH or TRIAL',
  `step` bigint(20) DEFAULT NULL COMMENT 'Step, batch or epoch',
  `created_at` datetime(6) NOT NULL COMMENT 'When the program printed it',
  PRIMARY KEY (`id`),
  KEY `ix_metric_trial_id` (`trial_id`),
  KEY `ix_metric_attempt_id` (`attempt_id`),
  CONSTRAINT `fk_metric_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_metric_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_metric_split` CHECK (`split` in ('TRAIN','VALIDATION','TEST')),
  CONSTRAINT `ck_metric_level` CHECK (`level` in ('LAST','STEP','BATCH','TRIAL'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One measurement along the way of an attempt.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `metric` VALUES (1,1,1,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:18.445703');
INSERT INTO `metric` VALUES (2,2,2,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:18.487602');
INSERT INTO `metric` VALUES (3,4,4,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:19.862451');
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
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One value that trials report and the search makes small or large.';
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
  `source` varchar(10) NOT NULL COMMENT 'ATTEMPT, IMPORT or REUSED',
  `attempt_id` int(11) DEFAULT NULL COMMENT 'The attempt that gave it',
  `reused_trial_id` int(11) DEFAULT NULL COMMENT 'The trial it was taken from',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_outcome_trial_id_objective_id` (`trial_id`,`objective_id`),
  KEY `fk_outcome_reused_trial_id` (`reused_trial_id`),
  KEY `ix_outcome_attempt_id` (`attempt_id`),
  KEY `ix_outcome_objective_id` (`objective_id`),
  CONSTRAINT `fk_outcome_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`),
  CONSTRAINT `fk_outcome_objective_id` FOREIGN KEY (`objective_id`) REFERENCES `objective` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_outcome_reused_trial_id` FOREIGN KEY (`reused_trial_id`) REFERENCES `trial` (`id`),
  CONSTRAINT `fk_outcome_trial_id` FOREIGN KEY (`trial_id`) REFERENCES `trial` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_outcome_source` CHECK (`source` in ('ATTEMPT','IMPORT','REUSED'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='The accepted value of one objective of one trial.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `outcome` VALUES (1,1,1,0.30124185513705015,NULL,'ATTEMPT',1,NULL);
INSERT INTO `outcome` VALUES (2,2,1,0.549255003221333,NULL,'ATTEMPT',2,NULL);
INSERT INTO `outcome` VALUES (3,4,1,0.017222526483237743,NULL,'ATTEMPT',4,NULL);
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
  `choices` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Choice: the values' CHECK (json_valid(`choices`)),
  `is_ordered` tinyint(1) DEFAULT NULL COMMENT 'Choice: the order has a meaning',
  `fixed_value` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Fixed: {value: …}' CHECK (json_valid(`fixed_value`)),
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_parameter_experiment_id_name` (`experiment_id`,`name`),
  CONSTRAINT `fk_parameter_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_parameter_kind` CHECK (`kind` in ('range','choice','fixed')),
  CONSTRAINT `ck_parameter_value_type` CHECK (`value_type` in ('int','float','str','bool'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One dimension of an experiment''s space.';
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
  `text` text NOT NULL COMMENT 'As the user wrote it',
  `coefficients` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Linear ones: sum(coefficient * parameter) <= bound' CHECK (json_valid(`coefficients`)),
  `bound` double DEFAULT NULL COMMENT 'Linear ones: the right-hand side',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_parameter_constraint_experiment_id_position` (`experiment_id`,`position`),
  CONSTRAINT `fk_parameter_constraint_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One comparison that every point has to meet.';
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
  `payload` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'What it says' CHECK (json_valid(`payload`)),
  `created_at` datetime(6) NOT NULL COMMENT 'When the database took it',
  `consumed_at` datetime(6) DEFAULT NULL COMMENT 'When the head had dealt with it',
  `refused_reason` text DEFAULT NULL COMMENT 'Why it was kept but not used',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_report_attempt_id_kind_sequence` (`attempt_id`,`kind`,`sequence`),
  KEY `ix_report_unconsumed` (`id`),
  CONSTRAINT `fk_report_attempt_id` FOREIGN KEY (`attempt_id`) REFERENCES `attempt` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_report_reportkind` CHECK (`kind` in ('START','METRIC','END'))
) ENGINE=InnoDB AUTO_INCREMENT=14 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One append-only message from a worker about an attempt.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `report` VALUES (1,1,'START',0,'{\"claim\": \"2d416b348f76c05b\", \"host\": \"login1\", \"slurm_job_id\": null, \"pid\": 1271, \"started_at\": \"2026-11-21T07:11:18.003300+00:00\"}','2026-11-21 07:11:18.440588','2026-11-21 07:11:18.518748',NULL);
INSERT INTO `report` VALUES (2,2,'START',0,'{\"claim\": \"b48413547852103c\", \"host\": \"login1\", \"slurm_job_id\": null, \"pid\": 1272, \"started_at\": \"2026-11-21T07:11:18.012556+00:00\"}','2026-11-21 07:11:18.480867','2026-11-21 07:11:18.523730',NULL);
INSERT INTO `report` VALUES (3,1,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T07:11:18.445703+00:00\"}]}','2026-11-21 07:11:18.494229','2026-11-21 07:11:18.530317',NULL);
INSERT INTO `report` VALUES (4,1,'END',0,'{\"results\": {\"LOSS\": 0.30124185513705015}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": null, \"started_at\": \"2026-11-21T07:11:18.441781+00:00\", \"ended_at\": \"2026-11-21T07:11:18.495795+00:00\", \"measured\": {\"wall_seconds\": 0.05163935199925618, \"user_seconds\": 0.001321, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43069440}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.30124185513705015\\n\"}','2026-11-21 07:11:18.552323','2026-11-21 07:11:19.542031',NULL);
INSERT INTO `report` VALUES (5,2,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T07:11:18.487602+00:00\"}]}','2026-11-21 07:11:18.558687','2026-11-21 07:11:19.542909',NULL);
INSERT INTO `report` VALUES (6,2,'END',0,'{\"results\": {\"LOSS\": 0.549255003221333}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": null, \"started_at\": \"2026-11-21T07:11:18.482064+00:00\", \"ended_at\": \"2026-11-21T07:11:18.560296+00:00\", \"measured\": {\"wall_seconds\": 0.07625660200028506, \"user_seconds\": 0.001304, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43323392}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.549255003221333\\n\"}','2026-11-21 07:11:18.601082','2026-11-21 07:11:19.545948',NULL);
INSERT INTO `report` VALUES (7,4,'START',0,'{\"claim\": \"5d79ef3b18561787\", \"host\": \"login1\", \"slurm_job_id\": null, \"pid\": 1279, \"started_at\": \"2026-11-21T07:11:19.572067+00:00\"}','2026-11-21 07:11:19.856771','2026-11-21 07:11:20.580435',NULL);
INSERT INTO `report` VALUES (8,3,'START',0,'{\"claim\": \"3a0c4530f81c0c0c\", \"host\": \"login1\", \"slurm_job_id\": null, \"pid\": 1278, \"started_at\": \"2026-11-21T07:11:19.570553+00:00\"}','2026-11-21 07:11:19.857057','2026-11-21 07:11:20.582430',NULL);
INSERT INTO `report` VALUES (9,4,'METRIC',0,'{\"metrics\": [{\"name\": \"loss\", \"value\": 0.5, \"split\": \"TRAIN\", \"level\": \"STEP\", \"step\": 1, \"at\": \"2026-11-21T07:11:19.862451+00:00\"}]}','2026-11-21 07:11:19.898838','2026-11-21 07:11:20.583291',NULL);
INSERT INTO `report` VALUES (10,3,'END',0,'{\"results\": {}, \"sems\": {}, \"infos\": {}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 1, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": null, \"started_at\": \"2026-11-21T07:11:19.858140+00:00\", \"ended_at\": \"2026-11-21T07:11:19.862820+00:00\", \"measured\": {\"wall_seconds\": 0.0016592500014667166, \"user_seconds\": 0.0, \"system_seconds\": 0.0011899999999999999, \"peak_memory_bytes\": 43388928}, \"tail\": \"\"}','2026-11-21 07:11:19.899154','2026-11-21 07:11:20.585482',NULL);
INSERT INTO `report` VALUES (11,4,'END',0,'{\"results\": {\"LOSS\": 0.017222526483237743}, \"sems\": {}, \"infos\": {\"colour\": \"blue\"}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 0, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": null, \"started_at\": \"2026-11-21T07:11:19.857860+00:00\", \"ended_at\": \"2026-11-21T07:11:19.900151+00:00\", \"measured\": {\"wall_seconds\": 0.0018224579998786794, \"user_seconds\": 0.001274, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43159552}, \"tail\": \"METRIC: loss=0.5 step=1\\nOO-Info: colour: blue\\nLOSS: 0.017222526483237743\\n\"}','2026-11-21 07:11:19.936214','2026-11-21 07:11:20.588622',NULL);
INSERT INTO `report` VALUES (12,5,'START',0,'{\"claim\": \"0231d950450ebdb6\", \"host\": \"login1\", \"slurm_job_id\": null, \"pid\": 1284, \"started_at\": \"2026-11-21T07:11:20.608917+00:00\"}','2026-11-21 07:11:20.893949','2026-11-21 07:11:21.605048',NULL);
INSERT INTO `report` VALUES (13,5,'END',0,'{\"results\": {}, \"sems\": {}, \"infos\": {}, \"artifacts\": [], \"problems\": [], \"cause\": \"EXIT\", \"exit_code\": 1, \"signal\": null, \"host\": \"login1\", \"slurm_job_id\": null, \"started_at\": \"2026-11-21T07:11:20.895011+00:00\", \"ended_at\": \"2026-11-21T07:11:20.898430+00:00\", \"measured\": {\"wall_seconds\": 0.0014485400006378768, \"user_seconds\": 0.0013319999999999999, \"system_seconds\": 0.0, \"peak_memory_bytes\": 43122688}, \"tail\": \"\"}','2026-11-21 07:11:20.934426','2026-11-21 07:11:21.607469',NULL);
DROP TABLE IF EXISTS `submission`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `submission` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `token` varchar(32) NOT NULL COMMENT 'Part of the job''s name; identifies the submission',
  `size` int(11) NOT NULL COMMENT 'Number of attempts it carries',
  `resources` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'What was requested of the scheduler' CHECK (json_valid(`resources`)),
  `state` varchar(20) NOT NULL COMMENT 'What became of the call',
  `slurm_job_id` varchar(40) DEFAULT NULL COMMENT 'Job id, when known',
  `message` text DEFAULT NULL COMMENT 'What sbatch said when it did not accept',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was prepared',
  `answered_at` datetime(6) DEFAULT NULL COMMENT 'When its state became known',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_submission_token` (`token`),
  KEY `ix_submission_experiment_id` (`experiment_id`),
  CONSTRAINT `fk_submission_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck_submission_submissionstate` CHECK (`state` in ('PREPARED','ACCEPTED','REFUSED','UNCLEAR'))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One call of sbatch: one job or one array, carrying one or more attempts.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `submission` VALUES (1,1,'fa694874d0f27095',2,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','ACCEPTED','local-1271-1322020',NULL,'2026-11-21 07:11:17.979317','2026-11-21 07:11:17.999251');
INSERT INTO `submission` VALUES (2,1,'4330caaf0810d279',2,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','ACCEPTED','local-1278-1322177',NULL,'2026-11-21 07:11:19.551871','2026-11-21 07:11:19.571184');
INSERT INTO `submission` VALUES (3,1,'554aa0aa4c992d14',1,'{\"cpus\": 1, \"gpus\": 0, \"nodes\": 1, \"exclude\": []}','ACCEPTED','local-1284-1322281',NULL,'2026-11-21 07:11:20.590499','2026-11-21 07:11:20.596022');
DROP TABLE IF EXISTS `trial`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `trial` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'Key',
  `experiment_id` int(11) NOT NULL COMMENT 'Experiment',
  `index` int(11) NOT NULL COMMENT 'Number within the experiment, from 0',
  `generation_id` int(11) DEFAULT NULL COMMENT 'The call that proposed it',
  `parameters` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Parameter values, by name' CHECK (json_valid(`parameters`)),
  `parameter_hash` varchar(64) NOT NULL COMMENT 'SHA-256 of the parameters',
  `status` smallint(6) NOT NULL COMMENT 'Ax''s trial status number',
  `status_reason` text DEFAULT NULL COMMENT 'Why it failed or was abandoned',
  `created_at` datetime(6) NOT NULL COMMENT 'When it was proposed',
  `staged_at` datetime(6) DEFAULT NULL COMMENT 'When its first attempt was planned',
  `run_started_at` datetime(6) DEFAULT NULL COMMENT 'When a worker first claimed it',
  `completed_at` datetime(6) DEFAULT NULL COMMENT 'When its status became final',
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq_trial_experiment_id_index` (`experiment_id`,`index`),
  KEY `ix_trial_experiment_id_status` (`experiment_id`,`status`),
  KEY `ix_trial_generation_id` (`generation_id`),
  CONSTRAINT `fk_trial_experiment_id` FOREIGN KEY (`experiment_id`) REFERENCES `experiment` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_trial_generation_id` FOREIGN KEY (`generation_id`) REFERENCES `generation` (`id`),
  CONSTRAINT `ck_trial_status` CHECK (`status` in (0,1,2,3,4,5,7,8))
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='One point of the space that is to be evaluated; has one final outcome.';
/*!40101 SET character_set_client = @saved_cs_client */;

INSERT INTO `trial` VALUES (1,1,0,1,'{\"x\": 0.30124185513705015, \"n\": 6, \"kind\": \"a\"}','8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54',3,NULL,'2026-11-21 07:11:17.976740','2026-11-21 07:11:17.981852','2026-11-21 07:11:18.517400','2026-11-21 07:11:19.538776');
INSERT INTO `trial` VALUES (2,1,1,1,'{\"x\": 0.549255003221333, \"n\": 2, \"kind\": \"b\"}','3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef',3,NULL,'2026-11-21 07:11:17.976740','2026-11-21 07:11:17.981852','2026-11-21 07:11:18.522918','2026-11-21 07:11:19.544805');
INSERT INTO `trial` VALUES (3,1,2,2,'{\"x\": 0.7731535704806447, \"n\": 7, \"kind\": \"a\"}','1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311',2,'the program ended with exit code 1','2026-11-21 07:11:19.550019','2026-11-21 07:11:19.553298','2026-11-21 07:11:20.581581','2026-11-21 07:11:21.606304');
INSERT INTO `trial` VALUES (4,1,3,2,'{\"x\": 0.017222526483237743, \"n\": 3, \"kind\": \"b\"}','6c029aad777cf552a46b9b9af44b91d48b242003ec50c16910963f418df14fb2',3,NULL,'2026-11-21 07:11:19.550019','2026-11-21 07:11:19.553298','2026-11-21 07:11:20.579464','2026-11-21 07:11:20.587476');
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

